//! Encoding a layer with given parameters, in the order in which [`super::RiceRows`] decodes it.

use alloc::vec;
use alloc::vec::Vec;

use super::bits::{WINDOW, fold};
use super::parameters::{
    ADJACENT, BIAS_K, BIAS_SHIFT, COUNT_K, FIRST_SPREAD, GAP_SPREAD, LENGTH_K, Parameters,
    SELECTED, SORTED, WEIGHT_K, gap_k,
};
use super::parts::Parts;

/// A row to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RiceRow {
    /// The row's bias.
    pub bias: i32,
    /// The column and value of each weight; columns increase strictly, values are not 0.
    pub weights: Vec<(u16, i16)>,
}

/// The parameters that a writer may choose.
#[derive(Clone)]
pub(super) struct Choice<'a> {
    pub(super) parameters: Parameters<'a>,
    pub(super) gap_k: u32,
    pub(super) run_k: u32,
}

/// An encoded block.
pub(super) struct Encoded {
    pub(super) block: Vec<u8>,
    pub(super) parts: Parts,
    /// How far codes exceed the window of a reader, in bits: 0 in a valid block.
    pub(super) overlong: usize,
}

impl Encoded {
    /// Returns the cost that a choice should minimise: the overlong bits, which make the block
    /// invalid, then its size in bits.
    pub(super) fn cost(&self) -> (usize, usize) {
        (self.overlong, self.parts.bits())
    }
}

/// A layer to write.
pub(super) struct Layer<'a> {
    inputs: u32,
    rows: &'a [RiceRow],
    /// Whether the block may have a list of used inputs.
    pub(super) may_select: bool,
    /// The index of each used input in the list of used inputs.
    place: Vec<u32>,
    used: Vec<bool>,
}

/// The run of rows of one length that is being encoded.
#[derive(Default)]
struct RowRun {
    /// The number of weights per row.
    length: u32,
    /// The number of remaining rows.
    left: u32,
    /// The first column of the previous row.
    first: u32,
    /// The Rice parameter of first columns.
    first_k: u32,
    /// The Rice parameter of gaps.
    gap_k: u32,
}

impl<'a> Layer<'a> {
    /// Prepares a layer for encoding.
    pub(super) fn new(inputs: u16, rows: &'a [RiceRow], may_select: bool) -> Self {
        let mut used = vec![false; usize::from(inputs)];
        for &(column, _) in rows.iter().flat_map(|row| &row.weights) {
            used[usize::from(column)] = true;
        }
        let place = used.iter().scan(0, |count, &used| {
            let place = *count;
            *count += u32::from(used);
            Some(place)
        });
        Layer {
            inputs: u32::from(inputs),
            rows,
            may_select,
            place: place.collect(),
            used,
        }
    }

    /// Encodes the layer with these parameters.
    pub(super) fn encode(&self, choice: &Choice<'_>) -> Encoded {
        self.encode_to(choice, BitWriter::default())
    }

    /// Returns what [`Self::encode`] returns, but with an unusable block: a writer tries hundreds
    /// of parameters, and only their cost matters.
    pub(super) fn measure(&self, choice: &Choice<'_>) -> Encoded {
        let counts_only = BitWriter {
            counts_only: true,
            ..BitWriter::default()
        };
        self.encode_to(choice, counts_only)
    }

    /// Encodes the layer with these parameters into `bits`.
    fn encode_to(&self, choice: &Choice<'_>, mut bits: BitWriter) -> Encoded {
        let parameters = &choice.parameters;
        let mut head = parameters.head.to_be_bytes().to_vec();
        if let Some(last) = parameters.codebook.len().checked_sub(1) {
            head.push(last as u8);
        }
        head.extend_from_slice(parameters.codebook);
        let mut parts = Parts::default();
        let mut columns = self.inputs;
        if parameters.is(SELECTED) {
            columns = self.used.iter().map(|&used| u32::from(used)).sum();
            head.extend((columns as u16).to_be_bytes());
            self.encode_selection(choice, &mut bits);
            parts.positions += bits.lap();
        }
        parts.parameters = 8 * head.len();
        let mut run = RowRun {
            length: if parameters.is(SORTED) { u32::MAX } else { 0 },
            ..RowRun::default()
        };
        for (index, row) in self.rows.iter().enumerate() {
            if run.left == 0 {
                run.start(parameters, &self.rows[index..], columns, &mut bits);
            }
            run.left -= 1;
            parts.positions += bits.lap();
            let bias = row.bias >> parameters.get(BIAS_SHIFT);
            bits.rice(parameters.get(BIAS_K), fold(bias));
            parts.biases += bits.lap();
            self.encode_weights(parameters, row, &mut run, &mut bits, &mut parts);
        }
        bits.bytes.reverse();
        head.extend(bits.bytes);
        Encoded {
            block: head,
            parts,
            overlong: bits.overlong,
        }
    }

    /// Encodes the columns and weights of a row.
    fn encode_weights(
        &self,
        parameters: &Parameters<'_>,
        row: &RiceRow,
        run: &mut RowRun,
        bits: &mut BitWriter,
        parts: &mut Parts,
    ) {
        let mut next = None;
        let mut window = bits.bits;
        for &(column, weight) in &row.weights {
            let column = if parameters.is(SELECTED) {
                self.place[usize::from(column)]
            } else {
                u32::from(column)
            };
            match next {
                None => {
                    bits.rice(run.first_k, column - run.first);
                    run.first = column;
                }
                Some(next) if !parameters.is(ADJACENT) => bits.rice(run.gap_k, column - next),
                Some(next) if next == column => bits.number(1, 1),
                Some(next) => {
                    bits.number(0, 1);
                    bits.rice(run.gap_k, column - next - 1);
                }
            }
            // A reader decodes a weight and the gap after it from one window.
            bits.overlong += (bits.bits - window).saturating_sub(WINDOW as usize);
            window = bits.bits;
            parts.positions += bits.lap();
            bits.rice(parameters.get(WEIGHT_K), parameters.number(weight));
            parts.values += bits.lap();
            next = Some(column + 1);
        }
    }

    /// Encodes the list of used inputs, as [`super::Selection`] decodes it.
    fn encode_selection(&self, choice: &Choice<'_>, bits: &mut BitWriter) {
        bits.number(choice.gap_k, 4);
        bits.number(choice.run_k, 4);
        let mut rest = &self.used[..];
        while !rest.is_empty() {
            // At least one unused input separates two runs.
            if rest.len() < self.used.len() {
                rest = &rest[1..];
            }
            let gap = rest.iter().take_while(|&&used| !used).count();
            bits.rice(choice.gap_k, gap as u32);
            rest = &rest[gap..];
            let run = rest.iter().take_while(|&&used| used).count();
            if run > 0 {
                bits.rice(choice.run_k, run as u32 - 1);
            }
            rest = &rest[run..];
        }
    }
}

impl RowRun {
    /// Starts a run at the first of `rows`: encodes its length and, if rows are sorted, the number
    /// of rows that have this length.
    fn start(
        &mut self,
        parameters: &Parameters<'_>,
        rows: &[RiceRow],
        columns: u32,
        bits: &mut BitWriter,
    ) {
        let length = rows[0].weights.len() as u32;
        let change = length.wrapping_sub(self.length);
        self.left = 1;
        if parameters.is(SORTED) {
            self.left = rows.partition_point(|row| row.weights.len() as u32 == length) as u32;
            bits.rice(parameters.get(LENGTH_K), change.wrapping_sub(1));
            bits.rice(parameters.get(COUNT_K), self.left - 1);
        } else {
            bits.rice(parameters.get(LENGTH_K), fold(change as i32));
        }
        (self.length, self.first) = (length, 0);
        let weights = length * self.left;
        self.first_k = gap_k(columns, parameters.get(FIRST_SPREAD), weights);
        self.gap_k = gap_k(columns, parameters.get(GAP_SPREAD), length);
    }
}

/// A bit stream that is being written.
#[derive(Default)]
struct BitWriter {
    /// The bytes, in the order in which they are read.
    bytes: Vec<u8>,
    bits: usize,
    /// The number of bits at the last call of [`BitWriter::lap`].
    lap: usize,
    /// See [`Encoded::overlong`].
    overlong: usize,
    /// Whether bits are counted but not written.
    counts_only: bool,
}

impl BitWriter {
    /// Returns the number of bits written since the last call.
    fn lap(&mut self) -> usize {
        let bits = self.bits - self.lap;
        self.lap = self.bits;
        bits
    }

    /// Writes the low `count` bits of a number.
    fn number(&mut self, number: u32, count: u32) {
        if self.counts_only {
            self.bits += count as usize;
            return;
        }
        for place in (0..count).rev() {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((number >> place & 1) as u8) << (7 - self.bits % 8);
            }
            self.bits += 1;
        }
    }

    /// Writes the Rice code of a number, or counts it as overlong.
    fn rice(&mut self, k: u32, number: u32) {
        let bits = (number >> k) as usize + 1 + k as usize;
        if bits > WINDOW as usize {
            self.overlong += bits;
            return;
        }
        if self.counts_only {
            self.bits += bits;
            return;
        }
        for _ in 0..number >> k {
            self.number(0, 1);
        }
        self.number(1, 1);
        self.number(number, k);
    }
}
