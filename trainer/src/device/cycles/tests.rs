//! Checks decoding and prices against snippets counted by hand from the manuals.

use super::prices::{Executed, Taken, TimedCore, price};
use super::range::Range;
use super::thumb::{Instruction, decode};

/// All cores, in the order of the columns of [`ALONE`].
const CORES: [TimedCore; 4] = [
    TimedCore::M0,
    TimedCore::M0Plus,
    TimedCore::M3,
    TimedCore::M4,
];

/// An instruction of every class: its assembly, its bytes, and its cycles on a Cortex-M0 with the
/// slow multiplier, M0+ with the slow multiplier, M3 and M4, as the manuals state them; "-" if the
/// core does not have the instruction. LLVM assembled the bytes.
#[rustfmt::skip]
const ALONE: &[(&str, &str, [&str; 4])] = &[
    ("movs r0, #1", "0120", ["1", "1", "1", "1"]),
    ("adds r0, r1, r2", "8818", ["1", "1", "1", "1"]),
    ("mov r8, r0", "8046", ["1", "1", "1", "1"]),
    ("add pc, r0", "8744", ["3", "2", "2-4", "2-4"]),
    ("mov pc, lr", "f746", ["3", "2", "2-4", "2-4"]),
    ("cmp r0, r8", "4045", ["1", "1", "1", "1"]),
    ("muls r0, r1, r0", "4843", ["32", "32", "1", "1"]),
    ("ldr r0, [r1, #4]", "4868", ["2", "2", "2", "2"]),
    ("ldrb r0, [r1, r2]", "885c", ["2", "2", "2", "2"]),
    ("ldrsh r0, [r1, r2]", "885e", ["2", "2", "2", "2"]),
    ("ldr r0, [pc, #8]", "0248", ["2", "2", "2-3", "2-3"]),
    ("ldr r0, [sp, #8]", "0298", ["2", "2", "2", "2"]),
    ("str r0, [r1, #4]", "4860", ["2", "2", "1-2", "1-2"]),
    ("strb r0, [r1, r2]", "8854", ["2", "2", "2", "2"]),
    ("ldm r0!, {r1, r2, r3}", "0ec8", ["4", "4", "4", "4"]),
    ("stm r0!, {r1, r2, r3, r4}", "1ec0", ["5", "5", "5", "5"]),
    ("push {r4, r5, lr}", "30b5", ["4", "4", "4", "4"]),
    ("pop {r4, r5}", "30bc", ["3", "3", "3", "3"]),
    ("pop {r4, r5, pc}", "30bd", ["7", "6", "5-7", "5-7"]),
    ("beq, not taken", "04d0", ["1", "1", "1", "1"]),
    ("b #8", "04e0", ["3", "2", "2-4", "2-4"]),
    ("bl #8", "00f004f8", ["4", "3", "2-4", "2-4"]),
    ("bx lr", "7047", ["3", "2", "2-4", "2-4"]),
    ("blx r3", "9847", ["3", "2", "2-4", "2-4"]),
    ("nop", "00bf", ["1", "1", "1", "1"]),
    ("sxtb r0, r1", "48b2", ["1", "1", "1", "1"]),
    ("rev r0, r1", "08ba", ["1", "1", "1", "1"]),
    ("mrs r0, primask", "eff31080", ["4", "3", "1-2", "1-2"]),
    ("dmb sy", "bff35f8f", ["4", "3", "1-4", "1-4"]),
    ("cpsid i", "72b6", ["1", "1", "1-2", "1-2"]),
    ("add sp, #8", "02b0", ["1", "1", "1", "1"]),
    ("adr r0, #8", "02a0", ["1", "1", "1", "1"]),
    ("sev", "40bf", ["1", "1", "1", "1"]),
    ("cbz r0, not taken", "20b1", ["-", "-", "1", "1"]),
    ("ite eq", "0cbf", ["-", "-", "0-1", "0-1"]),
    ("mla r0, r1, r2, r3", "01fb0230", ["-", "-", "2", "1"]),
    ("mls r0, r1, r2, r3", "01fb1230", ["-", "-", "2", "1"]),
    ("smull r0, r1, r2, r3", "82fb0301", ["-", "-", "3-5", "1"]),
    ("umlal r0, r1, r2, r3", "e2fb0301", ["-", "-", "4-7", "1"]),
    ("udiv r0, r1, r2", "b1fbf2f0", ["-", "-", "2-12", "2-12"]),
    ("sdiv r0, r1, r2", "91fbf2f0", ["-", "-", "2-12", "2-12"]),
    ("ldrd r0, r1, [r2]", "d2e90001", ["-", "-", "3", "3"]),
    ("strd r0, r1, [r2]", "c2e90001", ["-", "-", "3", "3"]),
    ("ldm.w r0, {r1, r2, r8}", "90e80601", ["-", "-", "4", "4"]),
    ("pop.w {r4, r8, pc}", "bde81081", ["-", "-", "5-7", "5-7"]),
    ("push.w {r4, r8, lr}", "2de91041", ["-", "-", "4", "4"]),
    ("ldr.w pc, [r0, #4]", "d0f804f0", ["-", "-", "3-5", "3-5"]),
    ("tbb [pc, r0]", "dfe800f0", ["-", "-", "3-6", "3-6"]),
    ("tbh [pc, r0, lsl #1]", "dfe810f0", ["-", "-", "3-6", "3-6"]),
    ("ubfx r0, r1, #3, #4", "c1f3c300", ["-", "-", "1", "1"]),
    ("bfi r0, r1, #3, #4", "61f3c600", ["-", "-", "1", "1"]),
    ("ssat r0, #8, r1", "01f30700", ["-", "-", "1", "1"]),
    ("movw r0, #1000", "40f2e830", ["-", "-", "1", "1"]),
    ("movt r0, #1000", "c0f2e830", ["-", "-", "1", "1"]),
    ("clz r0, r1", "b1fa81f0", ["-", "-", "1", "1"]),
    ("lsl.w r0, r1, r2", "01fa02f0", ["-", "-", "1", "1"]),
    ("add.w r0, r1, r2, lsl #3", "01ebc200", ["-", "-", "1", "1"]),
    ("and r0, r1, #255", "01f0ff00", ["-", "-", "1", "1"]),
    ("ldrex r0, [r1]", "51e8000f", ["-", "-", "2", "2"]),
    ("strex r0, r1, [r2]", "42e80010", ["-", "-", "2", "2"]),
    ("ldr r0, [r1], #4", "51f8040b", ["-", "-", "1-2", "1-2"]),
    ("ldrb.w r0, [r1, #100]", "91f86400", ["-", "-", "2", "2"]),
    ("ldr.w r0, [r1, r2, lsl #2]", "51f82200", ["-", "-", "2", "2"]),
    ("b.w #1000", "00f0f4b9", ["-", "-", "2-4", "2-4"]),
    ("bne.w, not taken", "40f0f481", ["-", "-", "1", "1"]),
    ("uxtb.w r8, r1", "5ffa81f8", ["-", "-", "1", "1"]),
    ("smlad r0, r1, r2, r3", "21fb0230", ["-", "-", "-", "1"]),
    ("smlabb r0, r1, r2, r3", "11fb0230", ["-", "-", "-", "1"]),
    ("smlal r0, r1, r2, r3", "c2fb0301", ["-", "-", "4-7", "1"]),
    ("sxtb16 r0, r1", "2ffa81f0", ["-", "-", "-", "1"]),
    ("sxtab r0, r1, r2", "41fa82f0", ["-", "-", "-", "1"]),
    ("pkhbt r0, r1, r2", "c1ea0200", ["-", "-", "-", "1"]),
    ("qadd r0, r1, r2", "82fa81f0", ["-", "-", "-", "1"]),
    ("uadd8 r0, r1, r2", "81fa42f0", ["-", "-", "-", "1"]),
    ("smlalbb r0, r1, r2, r3", "c2fb8301", ["-", "-", "-", "1"]),
    ("usat16 r0, #3, r1", "a1f30300", ["-", "-", "-", "1"]),
    ("sel r0, r1, r2", "a1fa82f0", ["-", "-", "-", "1"]),
    ("umaal r0, r1, r2, r3", "e2fb6301", ["-", "-", "-", "1"]),
    ("smmul r0, r1, r2", "51fb02f0", ["-", "-", "-", "1"]),
    ("vadd.f32 s0, s1, s2", "30ee810a", ["-", "-", "-", "1-2"]),
    ("vmul.f32 s0, s1, s2", "20ee810a", ["-", "-", "-", "1-2"]),
    ("vmla.f32 s0, s1, s2", "00ee810a", ["-", "-", "-", "3-4"]),
    ("vfma.f32 s0, s1, s2", "a0ee810a", ["-", "-", "-", "3-4"]),
    ("vdiv.f32 s0, s1, s2", "80ee810a", ["-", "-", "-", "14-15"]),
    ("vsqrt.f32 s0, s1", "b1eee00a", ["-", "-", "-", "14-15"]),
    ("vmov s0, r0", "00ee100a", ["-", "-", "-", "1"]),
    ("vmov r0, s0", "10ee100a", ["-", "-", "-", "1"]),
    ("vmov s0, s1, r0, r1", "41ec100a", ["-", "-", "-", "2"]),
    ("vmov.f32 s0, #1.0", "b7ee000a", ["-", "-", "-", "1"]),
    ("vcmp.f32 s0, s1", "b4ee600a", ["-", "-", "-", "1"]),
    ("vmrs apsr_nzcv, fpscr", "f1ee10fa", ["-", "-", "-", "1"]),
    ("vcvt.f32.s32 s0, s1", "b8eee00a", ["-", "-", "-", "1-2"]),
    ("vldr s0, [r0, #4]", "90ed010a", ["-", "-", "-", "2"]),
    ("vldr d0, [r0, #4]", "90ed010b", ["-", "-", "-", "3"]),
    ("vstr s0, [r0]", "80ed000a", ["-", "-", "-", "2"]),
    ("vpush {s16, s17, s18}", "2ded038a", ["-", "-", "-", "4"]),
    ("vpop {d8, d9}", "bdec048b", ["-", "-", "-", "5"]),
    ("vldmia r0!, {s0-s3}", "b0ec040a", ["-", "-", "-", "5"]),
    ("vabs.f32 s0, s1", "b0eee00a", ["-", "-", "-", "1"]),
    ("vneg.f32 s0, s1", "b1ee600a", ["-", "-", "-", "1"]),
];

/// Returns the bytes that `text` states in hexadecimal.
fn bytes(text: &str) -> Vec<u8> {
    let digits = (0..text.len()).step_by(2).map(|at| &text[at..at + 2]);
    digits
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// Returns the range that `text` states: "3", or "1-2".
fn range(text: &str) -> Option<Range> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse().ok();
    Some(Range {
        low: number(low)?,
        high: number(high)?,
    })
}

/// Returns the cycles of `instruction` alone on `core` with the slow multiplier.
fn alone(core: TimedCore, instruction: &Instruction) -> Option<Range> {
    let executed = Executed {
        instruction,
        previous: None,
        taken: Taken::No,
        conditional: false,
    };
    price(core, Range::exactly(32), &executed)
}

#[test]
fn every_class_of_instruction_costs_what_the_manuals_state() {
    for (assembly, code, expected) in ALONE {
        let code = bytes(code);
        let instruction = decode(&code).unwrap_or_else(|| panic!("{assembly} is not decoded"));
        assert_eq!(instruction.size as usize, code.len(), "{assembly}");
        for (core, expected) in CORES.into_iter().zip(expected) {
            assert_eq!(
                alone(core, &instruction),
                range(expected),
                "{assembly} on {core:?}"
            );
        }
    }
}

#[test]
fn instructions_without_a_number_of_cycles_are_not_decoded() {
    for (assembly, code) in [
        ("udf #0", "00de"),
        ("svc #0", "00df"),
        ("bkpt #171", "abbe"),
        ("wfi", "30bf"),
        ("wfe", "20bf"),
        ("vadd.f64 d0, d1, d2", "31ee020b"),
        ("vcvt.f64.f32 d0, s0", "b7eec00a"),
        ("pld [r0]", "90f800f0"),
        ("a cut-off instruction", "00f0"),
        ("nothing", ""),
    ] {
        assert_eq!(decode(&bytes(code)), None, "{assembly}");
    }
}

/// Returns the cycles of the instructions `code` on `core`, executed one after the other, the last
/// of which branches as `taken` says.
fn sequence(core: TimedCore, code: &str, taken: Taken) -> Range {
    let code = bytes(code);
    let (mut rest, mut previous, mut total) = (&code[..], None, Range::default());
    while !rest.is_empty() {
        let instruction = decode(rest).unwrap();
        rest = &rest[instruction.size as usize..];
        let executed = Executed {
            instruction: &instruction,
            previous: previous.as_ref(),
            taken: if rest.is_empty() { taken } else { Taken::No },
            conditional: false,
        };
        total += price(core, Range::exactly(1), &executed).unwrap();
        previous = Some(instruction);
    }
    total
}

/// Checks the examples of the manuals' sections on load and store timings, and what they rule out.
#[test]
fn loads_and_stores_overlap_as_the_manuals_state() {
    // Assembly, bytes, lower and upper bound.
    for (assembly, code, low, high) in [
        // "Normally three cycles total."
        ("ldr r0, [r1]; ldr r1, [r2]", "08681168", 3, 4),
        ("ldr r0, [r1, r2]; str r0, [r3, #20]", "88585861", 3, 4),
        ("ldr r0, [r1, r2]; str r1, [r3, r2]", "88589950", 3, 4),
        // "Normally four cycles total."
        (
            "ldr r0, [r1, r5]; ldr r1, [r2]; ldr r2, [r3, #4]",
            "485911685a68",
            4,
            6,
        ),
        // The second address is what the first loads.
        ("ldr r0, [r1]; ldr r1, [r0]", "08680168", 4, 4),
        // Nothing overlaps with a store before it.
        ("strb r0, [r1, r2]; ldr r0, [r1]", "88540868", 4, 4),
        // An address that was just computed stalls the load.
        ("adds r1, r1, r2; ldr r0, [r1]", "89180868", 3, 4),
        ("adds r3, r1, r2; ldr r0, [r1]", "8b180868", 3, 3),
        // LDRD, STRD, LDM and STM do not overlap with their neighbours.
        ("ldr r0, [r1]; ldrd r2, r3, [r4]", "0868d4e90023", 5, 5),
        ("ldr r0, [r1]; ldm r2!, {r3, r4, r5}", "086838ca", 6, 6),
    ] {
        for core in [TimedCore::M3, TimedCore::M4] {
            let found = sequence(core, code, Taken::No);
            assert_eq!(found, Range { low, high }, "{assembly} on {core:?}");
        }
    }
}

/// Checks an inner loop as a manual would count it: 10 iterations of a sparse dot product.
#[test]
fn branches_cost_what_their_outcome_says() {
    // ldrb r3, [r0, r2]; muls r3, r4, r3; adds r5, r5, r3; subs r1, #1; bne
    let code = "835c6343ed180139fad1";
    for (core, taken, not) in [
        // 2 + 1 + 1 + 1, and 3 or 1 for the branch.
        (TimedCore::M0, (8, 8), 6),
        (TimedCore::M0Plus, (7, 7), 6),
        // The same, and 1 + P for a branch that is taken.
        (TimedCore::M4, (7, 9), 6),
    ] {
        let (low, high) = taken;
        assert_eq!(
            sequence(core, code, Taken::Yes),
            Range { low, high },
            "{core:?}"
        );
        assert_eq!(
            sequence(core, code, Taken::No),
            Range::exactly(not),
            "{core:?}"
        );
        let either = Range { low: not, high };
        assert_eq!(sequence(core, code, Taken::Unknown), either, "{core:?}");
    }
}

#[test]
fn a_conditional_instruction_may_have_been_skipped() {
    let instruction = decode(&bytes("4868")).unwrap();
    let executed = Executed {
        instruction: &instruction,
        previous: None,
        taken: Taken::No,
        conditional: true,
    };
    let found = price(TimedCore::M4, Range::exactly(1), &executed);
    assert_eq!(found, Some(Range { low: 1, high: 2 }));
}

#[test]
fn only_cores_with_a_published_table_are_timed() {
    for (name, expected) in [
        ("Cortex-M0", Some(TimedCore::M0)),
        ("Cortex-M0+", Some(TimedCore::M0Plus)),
        ("Cortex-M3", Some(TimedCore::M3)),
        ("Cortex-M4F", Some(TimedCore::M4)),
        ("Cortex-M7", None),
        ("Cortex-M33", None),
        ("Cortex-M55", None),
        ("RV32IMAC", None),
    ] {
        assert_eq!(TimedCore::of(name), expected, "{name}");
    }
}
