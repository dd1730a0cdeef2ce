//! Checks that arbitrary bytes are either rejected or harmless to run, for the fuzzers and the
//! tests of damaged containers.

use rarefy_format::{
    AlignedBytes, CHECKSUM_OFFSET, Encoding, LayerSpec, Model, NetworkSpec, ParseError, UnitsSpec,
    with_units, write,
};
use rarefy_runtime::{Engine, InferError, QuantizeError};

/// Guard words before and after the arena, which the engine must not overwrite.
const GUARD: usize = 16;
/// The largest input (in bytes) and arena (in words) of a model that is run.
const MOST: usize = 1 << 16;
/// The largest number of multiplications of a model that is run: about a tenth of a second.
const RUN: usize = 1 << 26;
/// The largest number of multiplications of a model that is also run by the reference
/// implementation, which is slow.
const COMPARED: usize = 1 << 15;

/// The outcome for a container.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Rejected by the parser.
    Refused(ParseError),
    /// Accepted, but too large to run here.
    TooLarge,
    /// Accepted and run.
    Ran,
    /// Accepted, run, and equal to the reference implementation.
    Compared,
}

/// Parses `bytes` and, if they are accepted, runs them on `input(0, length)` and
/// `input(1, length)`.
///
/// # Errors
///
/// Returns the fault of the parser or of the engine, as a sentence.
pub fn check(bytes: &[u8], input: impl Fn(usize, usize) -> Vec<u8>) -> Result<Verdict, String> {
    let bytes = AlignedBytes::copy_from(bytes);
    let model = match Model::parse(&bytes) {
        Ok(model) => model,
        Err(error) if error.to_string().is_empty() => {
            return Err("the parser's error has no message".into());
        }
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
            other => Err(format!(
                "an empty input gives {other:?}, not the error that its length is wrong"
            )),
        };
    }
    converts(&engine)?;
    let network = NetworkSpec::from_model(&model);
    let is_compared = products <= COMPARED;
    // Writing `rice` blocks is slow, so the round trip is checked for only some of the containers
    // that have them, chosen by the checksum.
    let coded = |layer: &LayerSpec| layer.encoding == Encoding::Rice;
    if !network.layers.iter().any(coded) || bytes[CHECKSUM_OFFSET].is_multiple_of(64) {
        comes_back(&network, &model)?;
    }
    for round in 0..2 {
        let input = input(round, inputs);
        let logits = infer(&engine, &input, 0xDEAD_BEEF)?;
        if logits.len() != model.outputs() {
            return Err(format!(
                "the engine returns {} logits, but the model states {}",
                logits.len(),
                model.outputs()
            ));
        }
        if infer(&engine, &input, 0x0102_0304)? != logits {
            return Err("the logits depend on the previous contents of the arena".into());
        }
        if is_compared && network.infer(&input) != logits {
            return Err(format!(
                "the engine computes {logits:?} where the reference computes {:?}",
                network.infer(&input)
            ));
        }
    }
    Ok(if is_compared {
        Verdict::Compared
    } else {
        Verdict::Ran
    })
}

/// Computes the logits in an arena of exactly the stated size, filled with `fill`.
fn infer(engine: &Engine<'_>, input: &[u8], fill: u32) -> Result<Vec<i32>, String> {
    let words = engine.model().arena_words();
    let mut memory = vec![fill; words + 2 * GUARD];
    let arena = &mut memory[GUARD..GUARD + words];
    let logits = match engine.infer(input, arena) {
        Ok(logits) => logits.to_vec(),
        Err(error) => return Err(format!("the engine rejects an accepted model: {error}")),
    };
    let guards = memory[..GUARD].iter().chain(&memory[GUARD + words..]);
    if guards.into_iter().any(|&word| word != fill) {
        return Err("the engine has written outside the arena".into());
    }
    Ok(logits)
}

/// Checks that the engine converts numbers by the units that the model states, and rejects them if
/// it states none.
fn converts(engine: &Engine<'_>) -> Result<(), String> {
    let (model, mut input) = (engine.model(), vec![7; engine.model().inputs()]);
    let values: Vec<f32> = (0..input.len())
        .map(|at| at as f32 * 37.5 - 300.0)
        .collect();
    let converted = engine.quantize(&values, &mut input);
    let Some(units) = model.units() else {
        return match (converted, engine.output_step()) {
            (Err(QuantizeError::NoUnits), None) => Ok(()),
            other => Err(format!("without units, numbers are converted: {other:?}")),
        };
    };
    converted.map_err(|error| error.to_string())?;
    for (index, (&value, &byte)) in values.iter().zip(&input).enumerate() {
        let map = units
            .map(index)
            .ok_or(format!("input {index} has no map"))?;
        let exact = (value - map.minimum) * map.factor + 0.5;
        if byte != exact.clamp(0.0, 255.0) as u8 {
            return Err(format!("{value} becomes {byte} by {map:?}"));
        }
    }
    let step = units.output_step();
    let outputs = engine.dequantize(&[-3, 5]).ok_or("no outputs")?;
    match outputs.eq([-3.0 * step, 5.0 * step]) && step > 0.0 {
        true => Ok(()),
        false => Err(format!("logits are converted by the step {step}")),
    }
}

/// Returns the container of `network` with the units of `model`.
fn written(network: &NetworkSpec, model: &Model<'_>) -> Option<Vec<u8>> {
    let written = write(network).ok()?;
    match model.units() {
        Some(units) => with_units(&written, &UnitsSpec::from_units(&units)).ok(),
        None => Some(written),
    }
}

/// Checks that `network`, read from `model`, is the same after being written and read again.
fn comes_back(network: &NetworkSpec, model: &Model<'_>) -> Result<(), String> {
    // A forged container may contain what the writer rejects: sums that wrap, values out of range.
    let Some(bytes) = written(network, model).filter(|bytes| bytes != model.bytes()) else {
        return Ok(());
    };
    let model = Model::parse(&bytes).map_err(|error| error.to_string())?;
    match written(&NetworkSpec::from_model(&model), &model) {
        Some(again) if again == bytes => Ok(()),
        _ => Err("a written network is read back differently".into()),
    }
}

/// Estimates the number of multiplications of an inference.
fn products(model: &Model<'_>) -> usize {
    let layer = |layer: rarefy_format::Layer<'_>| {
        let sums = layer.sums();
        let positions = usize::from(sums.height) * usize::from(sums.width);
        // A weight takes about a byte or more (less in `rice`); a window has at most 225 taps.
        let weights = match layer.operation() {
            rarefy_format::Operation::Pool { .. } => layer.outputs() * 225,
            _ => layer.outputs() + layer.block().len(),
        };
        positions.saturating_mul(weights)
    };
    model.layers().map(layer).fold(0, usize::saturating_add)
}
