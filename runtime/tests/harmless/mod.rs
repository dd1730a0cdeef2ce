//! The property that any bytes are rejected or harmless, for the tests of damage and the fuzzer.

use rarefy_format::{
    AlignedBytes, CHECKSUM_OFFSET, Encoding, LayerSpec, Model, NetworkSpec, ParseError, write,
};
use rarefy_runtime::{Engine, InferError};

/// Words around the arena that must not be written.
const GUARD: usize = 16;
/// The longest input and the largest arena (in words) that are tested.
const MOST: usize = 1 << 16;
/// The largest number of products of a model that is run: about a tenth of a second.
const RUN: usize = 1 << 26;
/// The largest number of products for the reference implementation, which is slow.
const REFERENCE: usize = 1 << 15;

/// What happened to some bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Rejected by the parser.
    Refused(ParseError),
    /// Accepted, but larger than what is tested.
    TooLarge,
    /// Accepted and run.
    Ran,
    /// Accepted, run, and equal to the reference implementation.
    Compared,
}

/// Parses `bytes` and, if they are accepted, runs them on two inputs: `input(round, length)`.
///
/// # Errors
///
/// Returns what is wrong with the parser or the engine, in a sentence.
pub(crate) fn check(
    bytes: &[u8],
    input: impl Fn(usize, usize) -> Vec<u8>,
) -> Result<Verdict, String> {
    let bytes = AlignedBytes::copy_from(bytes);
    let model = match Model::parse(&bytes) {
        Ok(model) => model,
        Err(error) if error.to_string().is_empty() => return Err("an error says nothing".into()),
        Err(error) => return Ok(Verdict::Refused(error)),
    };
    let engine = Engine::new(model).map_err(|error| error.to_string())?;
    let (inputs, words) = (model.inputs(), model.arena_words());
    let products = products(&model);
    if inputs > MOST || words > MOST || products > RUN {
        return match engine.infer(&[], &mut []) {
            Err(InferError::InputLength { expected, .. }) if expected == inputs => {
                Ok(Verdict::TooLarge)
            }
            other => Err(format!("an empty input gives {other:?}")),
        };
    }
    let network = NetworkSpec::from_model(&model);
    let reference = products <= REFERENCE;
    // The writer of coded streams is slow: it is tested for a few of the checksums.
    let coded = |layer: &LayerSpec| layer.encoding == Encoding::Rice;
    if !network.layers.iter().any(coded) || bytes[CHECKSUM_OFFSET].is_multiple_of(64) {
        comes_back(&network, &bytes)?;
    }
    for round in 0..2 {
        let input = input(round, inputs);
        let logits = infer(&engine, &input, 0xDEAD_BEEF)?;
        if logits.len() != model.outputs() {
            return Err(format!(
                "{} logits where {} are stated",
                logits.len(),
                model.outputs()
            ));
        }
        if infer(&engine, &input, 0x0102_0304)? != logits {
            return Err("what lay in the arena changes the logits".into());
        }
        if reference && network.infer(&input) != logits {
            return Err(format!(
                "the engine gives {logits:?} where the arithmetic gives {:?}",
                network.infer(&input)
            ));
        }
    }
    Ok(if reference {
        Verdict::Compared
    } else {
        Verdict::Ran
    })
}

/// Returns the logits, computed in an arena of exactly the stated size that is full of `fill`.
fn infer(engine: &Engine<'_>, input: &[u8], fill: u32) -> Result<Vec<i32>, String> {
    let words = engine.model().arena_words();
    let mut memory = vec![fill; words + 2 * GUARD];
    let arena = &mut memory[GUARD..GUARD + words];
    let logits = match engine.infer(input, arena) {
        Ok(logits) => logits.to_vec(),
        Err(error) => return Err(format!("an accepted model is not run: {error}")),
    };
    let guards = memory[..GUARD].iter().chain(&memory[GUARD + words..]);
    if guards.into_iter().any(|&word| word != fill) {
        return Err("the engine has written outside the arena".into());
    }
    Ok(logits)
}

/// Checks that what the writer accepts is read back unchanged; `network` is what `bytes` hold.
fn comes_back(network: &NetworkSpec, bytes: &[u8]) -> Result<(), String> {
    match write(network) {
        Ok(written) if written == bytes => Ok(()),
        Ok(written) => {
            let model = Model::parse(&written).map_err(|error| error.to_string())?;
            match write(&NetworkSpec::from_model(&model)) {
                Ok(again) if again == written => Ok(()),
                _ => Err("what is written comes back as something else".into()),
            }
        }
        // A forged container may hold what the writer rejects, such as sums that wrap.
        Err(_) => Ok(()),
    }
}

/// Estimates the number of multiplications.
fn products(model: &Model<'_>) -> usize {
    let layer = |layer: rarefy_format::Layer<'_>| {
        let sums = layer.sums();
        let positions = usize::from(sums.height) * usize::from(sums.width);
        // A weight takes at least about a byte; a window has at most 225 taps.
        let weights = match layer.operation() {
            rarefy_format::Operation::Pool { .. } => layer.outputs() * 225,
            _ => layer.outputs() + layer.block().len(),
        };
        positions.saturating_mul(weights)
    };
    model.layers().map(layer).fold(0, usize::saturating_add)
}
