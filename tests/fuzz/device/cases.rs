//! Cases for the device: a container, inputs, and the logits that the host's engine computes.

use std::fmt;

use rarefy_format::{AlignedBytes, Encoding, Layer, Model, Operation, container_checksum};
use rarefy_runtime::Engine;

use crate::networks::Random;

/// Number of inputs per case, which the firmware expects.
pub(crate) const INPUTS: usize = 3;

/// Size in bytes of the firmware's yards, the areas between guards that hold container, input and
/// arena: the limit for each of these.
const YARD: usize = 256 << 10;
/// Maximum number of multiplications per inference: a fraction of a second in the emulator.
const PRODUCTS: usize = 1 << 19;
/// Capacity of a batch in bytes.
pub(crate) const BATCH_BYTES: usize = 16 << 20;

/// The origin of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A golden container or a seed, by index.
    Corpus(usize),
    /// A random network, by number.
    Network(u64),
    /// The layer in the encoding `columns` with sections of every length.
    Sections,
    /// A large network, by index.
    Large(usize),
    /// A mutant: the seed of the run, and the mutant's number.
    Mutant(u64, u64),
    /// A file.
    File,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Corpus(index) => write!(f, "container {index} of the corpus"),
            Origin::Network(number) => write!(f, "random network {number}"),
            Origin::Sections => f.write_str("the layer in columns with sections of every length"),
            Origin::Large(index) => write!(f, "large network {index}"),
            Origin::Mutant(seed, case) => write!(f, "case {case} of seed {seed}"),
            Origin::File => f.write_str("the file"),
        }
    }
}

/// A container that the parser accepts, with inputs and their logits.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) origin: Origin,
    pub(crate) container: AlignedBytes,
    pub(crate) inputs: [Vec<u8>; INPUTS],
    pub(crate) logits: [Vec<i32>; INPUTS],
}

impl Case {
    /// Creates a case, whose logits the host's engine computes. Returns `None` if the container is
    /// rejected or too large.
    pub(crate) fn new(origin: Origin, container: &[u8]) -> Option<Case> {
        let container = AlignedBytes::copy_from(container);
        let model = Model::parse(&container).ok()?;
        let engine = Engine::new(model).ok()?;
        let words = model.arena_words();
        let largest = container.len().max(model.inputs()).max(4 * words);
        if largest > YARD || products(&model) > PRODUCTS {
            return None;
        }
        let key = u64::from(container_checksum(&container));
        let inputs = [0, 60, 92].map(|zeros| input(key + zeros as u64, zeros, model.inputs()));
        let mut arena = vec![0xDEAD_BEEF; words];
        let mut logits = [const { Vec::new() }; INPUTS];
        for (logits, input) in logits.iter_mut().zip(&inputs) {
            *logits = engine.infer(input, &mut arena).ok()?.to_vec();
        }
        Some(Case {
            origin,
            container,
            inputs,
            logits,
        })
    }

    /// Returns the parsed container.
    pub(crate) fn model(&self) -> Model<'_> {
        Model::parse(&self.container).expect("a case's container was accepted")
    }

    /// Returns `true` if all layers are dense and unlinked, so that an engine without maps can run
    /// them.
    pub(crate) fn is_dense(&self) -> bool {
        let dense = |layer: Layer<'_>| {
            matches!(layer.operation(), Operation::Dense) && layer.links().is_none()
        };
        self.model().layers().all(dense)
    }

    /// Returns the size of the case in a batch, in bytes.
    pub(crate) fn len(&self) -> usize {
        let padded = |bytes: usize| bytes.next_multiple_of(4);
        let input = padded(self.inputs[0].len()) + 4 * self.logits[0].len();
        12 + padded(self.container.len()) + INPUTS * input
    }

    /// Appends the case to a batch.
    fn write(&self, batch: &mut Vec<u8>) {
        let lengths = [
            self.container.len(),
            self.inputs[0].len(),
            self.logits[0].len(),
        ];
        for length in lengths {
            batch.extend((length as u32).to_le_bytes());
        }
        let pieces = [&self.container[..]].into_iter();
        for bytes in pieces.chain(self.inputs.iter().map(Vec::as_slice)) {
            batch.extend(bytes);
            batch.resize(batch.len().next_multiple_of(4), 0);
        }
        let logits = self.logits.iter().flatten();
        batch.extend(logits.flat_map(|logit| logit.to_le_bytes()));
    }
}

/// Returns an input of `count` bytes, about `zeros` per cent of which are 0.
fn input(key: u64, zeros: usize, count: usize) -> Vec<u8> {
    let mut random = Random::new(key);
    let byte = |_| {
        let byte = random.next() as u8;
        if random.chance(zeros) { 0 } else { byte }
    };
    (0..count).map(byte).collect()
}

/// Estimates the number of multiplications of an inference.
fn products(model: &Model<'_>) -> usize {
    let layer = |layer: Layer<'_>| {
        let sums = layer.sums();
        let positions = usize::from(sums.height) * usize::from(sums.width);
        let weights = match layer.operation() {
            Operation::Pool { window, .. } => layer.outputs() * window.area(),
            // Assumes that a coded weight takes at least two bits.
            _ if layer.encoding() == Encoding::Rice => 4 * layer.block().len(),
            _ => layer.outputs() + layer.block().len(),
        };
        positions.saturating_mul(weights)
    };
    model.layers().map(layer).fold(0, usize::saturating_add)
}

/// Options of a batch.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mode {
    /// Which guard edge to read instead of running the cases (1 to 6, see the firmware's
    /// `step_on_guard`), or 0 to run them.
    pub(crate) step_on: u32,
    /// Whether unaligned accesses by the engine fault.
    pub(crate) trap_unaligned: bool,
}

/// Writes `cases` as a batch, in the layout that the firmware's `fuzz.rs` describes.
pub(crate) fn batch<'a>(cases: impl ExactSizeIterator<Item = &'a Case>, mode: Mode) -> Vec<u8> {
    let mut batch = Vec::new();
    let flags = u32::from(mode.trap_unaligned);
    for word in [mode.step_on, flags, cases.len() as u32] {
        batch.extend(word.to_le_bytes());
    }
    for case in cases {
        case.write(&mut batch);
    }
    batch
}
