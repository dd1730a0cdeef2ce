//! A neural network as code: 40 bytes in, 4 logits out.
//!
//! Written by `rarefy export --emit rust` from the network in `columns.rfy` (checksum 6ba1df6f):
//! the same logits, bit for bit. It depends on `core` only, allocates nothing and cannot panic.
//!
//! Its run time depends only on which values are 0, since their weights may be skipped. The layers'
//! values are on the stack.
//!
//! ```text
//! layer  kind               input         output  weights   (channels x height x width)
//!     1  dense                 40             18      176
//!     2  dense                 18              9       47
//!     3  dense                  9              4       10
//! ```
//!
//! Save it as `src/network.rs`, then:
//!
//! ```ignore
//! mod network;
//! let class = network::classify(&image); // image: [u8; network::INPUTS]
//! ```
#![allow(unused, clippy::all, clippy::pedantic)]

/// The number of input bytes: 40, channel by channel, row by row.
pub const INPUTS: usize = 40;

/// The number of logits: one per class, or per number that the network computes.
pub const OUTPUTS: usize = 4;

/// Returns the class of `input`: the index of the largest logit, the first one of a tie.
pub fn classify(input: &[u8; INPUTS]) -> usize {
    let logits = infer(input);
    let (mut class, mut largest) = (0, logits[0]);
    for (index, &logit) in logits.iter().enumerate() {
        if logit > largest {
            (class, largest) = (index, logit);
        }
    }
    class
}

/// Returns the logits for `input`.
pub fn infer(input: &[u8; INPUTS]) -> [i32; OUTPUTS] {
    let values_1 = layer_1(input);
    let values_2 = layer_2(&values_1);
    layer_3(&values_2)
}

/// Returns the stored value of a hidden unit's sum.
#[inline(always)]
fn store(sum: i32, shift: u32) -> u8 {
    (sum >> shift).clamp(0, 255) as u8
}

#[inline(never)]
fn layer_1(x: &[u8; 40]) -> [u8; 18] {
    let mut y = [0; 18];
    let x = |column: usize| x[column] as i32;
    y[0] = store(2431 - 256 * (x(1) - x(18)) - 96 * (x(4) - x(5) + x(25) - x(26)) - 64 * x(8) - 224
        * x(19) - 160 * x(28) + 192 * x(30) + 128 * x(38), 8);
    y[3] = store(-393 - 253 * (x(0) + x(4) + x(17) + x(22)) - 221 * (x(1) + x(10)) + 195 * (x(3) +
        x(5) + x(31)) + 259 * x(12) + 35 * x(19) + 67 * x(20) + 227 * x(25) + 99 * x(27) - 29 *
        x(28) - 61 * x(29), 8);
    y[2] = store(1441 + 98 * (x(2) + x(19)) - 254 * (x(3) + x(21) + x(32)) - 94 * (x(4) + x(11)) -
        190 * x(5) - 30 * (x(9) + x(16)) + 194 * x(13) + 258 * x(15) - 158 * x(25) + 34 * x(36), 8);
    y[5] = store(-182 - 59 * x(2) + 261 * (x(3) + x(15) + x(17)) + 101 * x(21) - 123 * x(25) + 133 *
        x(26) - 187 * x(30) + 165 * x(32) - 91 * x(38) - 155 * x(39), 8);
    y[10] = store(413 + 202 * (x(5) + x(6) + x(31)) + 42 * x(7) - 22 * (x(11) + x(23) + x(39)) - 54
        * x(13) - 182 * (x(14) + x(17) + x(26)) + 106 * (x(20) + x(24) + x(27)) + 170 * x(32), 8);
    y[15] = store(-95 - 209 * x(6) + 111 * (x(11) + x(18)) - 177 * (x(14) + x(23)) - 81 * x(19) - 17
        * x(29) - 49 * (x(30) + x(38)) + 79 * x(33) - 241 * x(39), 8);
    y[8] = store(921 - 24 * x(1) + 40 * x(4) + 136 * (x(7) + x(30)) - 152 * (x(10) + x(23) + x(39))
        + 104 * x(15) + 72 * x(16) - 216 * x(24) + 200 * x(36) - 184 * x(37), 8);
    y[9] = store(2359 + 233 * (x(1) + x(19) + x(36)) - 23 * x(4) + 105 * x(7) - 151 * x(10) + 201 *
        (x(22) + x(33)) - 183 * x(23) + 137 * x(24) - 247 * x(32) + 73 * x(35), 8);
    y[16] = store(1640 + 176 * (x(1) - x(32)) - 112 * x(7) + 48 * (x(8) + x(23) + x(33)) - 144 *
        x(9) + 272 * x(15) - 16 * x(17) - 80 * x(29) - 208 * x(37), 8);
    y[7] = store(762 - 153 * x(4) + 231 * x(6) - 57 * x(8) - 89 * x(28) + 199 * (x(32) + x(33)) -
        217 * x(38), 8);
    y[17] = store(2076 - 207 * (x(2) + x(8)) + 49 * x(10) - 15 * (x(12) + x(27) + x(28)) - 239 *
        x(14) - 143 * x(22) + 241 * x(38), 8);
    y[4] = store(2497 + 36 * (x(5) + x(14)) + 228 * x(8) - 28 * x(12) + 260 * (x(16) + x(34)) - 220
        * (x(21) + x(33)) - 188 * x(22) - 92 * x(36), 8);
    y[14] = store(1902 + 206 * x(1) + 78 * x(2) - 242 * x(5) - 146 * x(12) - 18 * x(14) + 46 * x(26)
        + 238 * (x(27) + x(34) + x(36)) - 210 * x(31) + 174 * x(33), 8);
    y[11] = store(-34 + 75 * x(13) - 21 * x(15) + 203 * x(26) + 267 * x(27) - 53 * x(31), 8);
    y[13] = store(-688 + 141 * x(13) + 205 * x(19) - 179 * x(26) + 45 * (x(30) + x(37)) - 83 *
        x(32), 8);
    y[12] = store(1489 - 84 * x(2) + 268 * x(9) - 180 * x(11) + 236 * x(16) - 116 * (x(19) + x(39))
        - 212 * x(20) - 52 * x(21) + 204 * x(24), 8);
    y[6] = store(-952 - 58 * x(2) - 250 * x(4) - 186 * x(5) + 230 * x(7) - 154 * (x(17) + x(28)),
        8);
    y[1] = store(1196, 8);
    y
}

#[inline(never)]
fn layer_2(x: &[u8; 18]) -> [u8; 9] {
    let mut y = [0; 9];
    let x = |column: usize| x[column] as i32;
    let mut s0 = 195;
    let mut s1 = 1722;
    let mut s2 = -97;
    let mut s3 = 2473;
    let mut s4 = 1746;
    let mut s5 = 2047;
    let mut s6 = 696;
    let mut s7 = 1560;
    let mut s8 = -656;
    let x0 = x(0);
    if x0 != 0 {
        s0 += 112 * x0; s3 -= 109 * x0;
    }
    let x1 = x(1);
    if x1 != 0 {
        s0 -= 48 * x1; s3 += 99 * x1; s4 -= 124 * x1;
    }
    let x2 = x(2);
    if x2 != 0 {
        s0 += 80 * x2; s3 -= 77 * x2;
    }
    let x3 = x(3);
    if x3 != 0 {
        s0 += 64 * x3; s6 += 102 * x3; s7 += 55 * x3;
    }
    let x4 = x(4);
    if x4 != 0 {
        s0 -= 32 * x4; s2 += 130 * x4;
    }
    let x5 = x(5);
    if x5 != 0 {
        s0 -= 128 * x5; s3 += 19 * x5;
    }
    let x6 = x(6);
    if x6 != 0 {
        s0 += 112 * x6; s3 += 115 * x6; s4 -= 124 * x6; s6 += 134 * x6; s7 += 55 * x6; s8 += 24 *
            x6;
    }
    let x7 = x(7);
    s3 -= 29 * x7;
    let x8 = x(8);
    if x8 != 0 {
        s0 += 80 * x8; s6 -= 26 * x8; s7 += 103 * x8; s8 -= 56 * x8;
    }
    let x9 = x(9);
    if x9 != 0 {
        s0 -= 80 * x9; s6 += 22 * x9;
    }
    let x10 = x(10);
    if x10 != 0 {
        s0 -= 32 * x10; s6 -= 106 * x10; s7 -= 121 * x10; s8 -= 56 * x10;
    }
    let x11 = x(11);
    if x11 != 0 {
        s0 += 64 * x11; s5 -= 75 * x11; s6 -= 26 * x11; s7 += 23 * x11;
    }
    let x12 = x(12);
    s4 -= 76 * x12;
    let x13 = x(13);
    if x13 != 0 {
        s0 += 16 * x13; s3 -= 109 * x13; s4 -= 28 * x13; s7 += 103 * x13;
    }
    let x14 = x(14);
    if x14 != 0 {
        s3 += 99 * x14; s4 += 132 * x14; s5 -= 123 * x14;
    }
    let x15 = x(15);
    s7 -= 121 * x15;
    let x16 = x(16);
    if x16 != 0 {
        s0 -= 96 * x16; s3 -= 109 * x16;
    }
    let x17 = x(17);
    s0 += 32 * x17;
    y[0] = store(s0, 8);
    y[1] = store(s1, 8);
    y[2] = store(s2, 8);
    y[3] = store(s3, 8);
    y[4] = store(s4, 8);
    y[5] = store(s5, 8);
    y[6] = store(s6, 8);
    y[7] = store(s7, 8);
    y[8] = store(s8, 8);
    y
}

#[inline(never)]
fn layer_3(x: &[u8; 9]) -> [i32; 4] {
    let mut y = [0; 4];
    let x = |column: usize| x[column] as i32;
    y[0] = -671 - 28 * (x(0) - x(5)) + 8 * (x(1) - x(3)) + 24 * (x(2) - x(7)) - 20 * x(4) - 16 *
        x(6) + 4 * x(8);
    y[3] = 1066 + 11 * x(5);
    y[1] = 998;
    y[2] = 2070;
    y
}
