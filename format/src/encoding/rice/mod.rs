//! The entropy-coded encoding: the smallest one, decoded row by row in order.
//!
//! A block is a head and a bit stream; its dimensions (`inputs`, `outputs`) are not part of it.
//! [`Rice::check`] decodes it once and rejects everything that could harm a kernel; after that,
//! [`Rice::selection`] and [`RiceRows`] decode it again without checks. The writer searches for the
//! parameters that make the block smallest; [`unit_order`] proposes an order of hidden units that
//! suits the encoding.
//!
//! # What makes it small and fast to read
//!
//! - All numbers are Rice-coded with fitting parameters: rows of one length share a parameter for
//!   gaps, derived from their density, and one for the steps between their first columns.
//! - Rows sorted by length need one count per length instead of one length per row, and the first
//!   columns of rows of one length do not decrease. That saves nearly `log2(outputs!)` bits.
//! - The weights of an image's pixels come in clusters: half of them directly follow another one,
//!   and the position of such a weight takes one bit.
//! - Inputs that no row uses (an image's border) are left out of all rows: one list states the runs
//!   of used inputs.
//! - Small weights are more frequent than large ones, so Rice codes suit them, too.
//! - No code is longer than 25 bits, nor is a weight together with the gap that follows it, so one
//!   unaligned load of four bytes contains it. The stream runs from the block's end to its front,
//!   where the head is, so these four bytes always lie inside the block.
//!
//! # Bits
//!
//! The stream begins with the block's last byte and runs backwards, down to the byte after the
//! head. Within bytes and numbers, the most significant bit comes first. (So the bytes after the
//! head are one little-endian number, read from its most significant bit.) The last byte of the
//! stream, which is the one after the head, is padded with zeros, and nothing follows it.
//!
//! `R(k)`, a **Rice code**, represents a number `n >= 0`: `n >> k` zeros, then a one, then the low
//! `k` bits of `n`. It has at most 25 bits. A weight's `R(weight_k)` and everything up to the next
//! weight have at most 25 bits together.
//!
//! **Folded** numbers carry a sign: 0, 1, 2, 3, 4, ... mean 0, -1, 1, -2, 2, ...
//!
//! `K(spread, weights)`, the Rice parameter of distances, is the smallest `k >= 0` with
//! `weights << k >= columns * spread / 8` (the quotient rounded down), or 0 if `weights` is 0.
//!
//! # Block
//!
//! ```text
//! the head:
//!   4 bytes, one number, most significant byte first:
//!     bit 31     sorted     rows are sorted, see below
//!     bit 30     selected   a list of used inputs follows
//!     bit 29     adjacent   a bit before each gap states whether the gap is 0
//!     bit 28     listed     there is a codebook
//!     bits 24-27 first_spread 0..15
//!     bits 20-23 gap_spread   0..15
//!     bits 16-19 length_k     0..15
//!     bits 13-15 count_k      0..7
//!     bits 8-12  bias_k       0..31
//!     bits 4-7   bias_shift   0..15
//!     bits 0-3   weight_k     0..15
//!   if listed, the codebook:
//!     1 byte     the number of its entries, less one
//!     1 byte per entry: an i8, not 0
//!   if selected:
//!     2 bytes, most significant first: the number of inputs in the list
//! the bit stream, from the block's last byte to the one after the head:
//!   if selected: 4 bits gap_k, 4 bits run_k, and from input 0 until the last input is reached
//!     R(gap_k)     the number of unused inputs; less one between two runs
//!     R(run_k)     the number of consecutive used inputs, less one; absent if no input is left
//!   the rows, one after another:
//!     if sorted, before the first row of each length:
//!       R(length_k)   the length less the smallest possible one: 0 at first, then one more than
//!                     the previous length
//!       R(count_k)    `rows`, the number of rows of this length, less one
//!     if not sorted, before each row:
//!       R(length_k)   folded: the length less that of the previous row (the first one less 0);
//!                     `rows` is 1
//!     R(bias_k)       folded: the bias >> bias_shift
//!     if the row has weights:
//!       R(K(first_spread, length * rows))   the first column, less that of the previous row if
//!                                           both belong to the same `rows`
//!     for each weight of the row:
//!       R(weight_k)   the weight's number
//!       unless it is the row's last, the gap: the number of columns between it and the next one
//!         if adjacent:    a bit, 1 if the gap is 0; after a 0,
//!                         R(K(gap_spread, length)) of the gap less one
//!         if not:         R(K(gap_spread, length)) of the gap
//! ```
//!
//! `columns` is the number of used inputs if there is a list, and columns are then indices into
//! this list; otherwise it is the number of the layer's inputs. A **weight's number** is
//! `2 * (|w| - 1)`, plus 1 for a negative weight; with a codebook it is the index of the entry.
//!
//! Example: `80 00 02 00 c0 c2 5f 66` is the block of three inputs and the rows `5 - x[1]` and
//! `-2 + 3 x[0] + x[2]`, sorted, with `bias_k` 2 and all other parameters 0. Its stream is
//! 66 5f c2 c0:
//!
//! ```text
//! 01 1         length 1 = 0 + 1, one row
//! 00110        bias 5 (folded 10)
//! 01 01        first column 1; weight -1 (number 1)
//! 1 1          length 2 = 2 + 0, one row
//! 111          bias -2 (folded 3)
//! 1 00001      first column 0; weight 3 (number 4)
//! 01 1         gap 1; weight 1 (number 0)
//! 000000       padding
//! ```

mod bits;
mod block;
mod check;
#[cfg(feature = "alloc")]
mod encode;
#[cfg(feature = "alloc")]
mod order;
mod parameters;
mod parts;
mod reader;
mod rows;
mod selection;
#[cfg(feature = "alloc")]
mod write;

pub use block::Rice;
pub use check::Summary;
pub(crate) use check::check;
#[cfg(feature = "alloc")]
pub use encode::RiceRow;
#[cfg(feature = "alloc")]
pub use order::{Pattern, unit_order};
pub use parts::Parts;
pub use reader::RiceReader;
pub use rows::{Rows as RiceRows, Stream as RiceStream};
pub use selection::Selection;
#[cfg(feature = "alloc")]
pub(crate) use write::write;
#[cfg(feature = "alloc")]
pub use write::write_rice;

pub use crate::error::RiceError;
