//! Checks the container and the logits that the engine computes from it.

use rarefy_format::{AlignedBytes, Encoding, LayerSpec, Model, WeightsSpec};
use rarefy_runtime::Engine;
use rarefy_trainer::deploy::Network;
use rarefy_trainer::deploy::choose::EncodingChoice;
use rarefy_trainer::deploy::container::Written;
use rarefy_trainer::deploy::export::{self, Options};
use rarefy_trainer::deploy::quantize::WeightType;
use rarefy_trainer::random::Random;

use super::check::{Counts, Fault, Subject, fault};
use super::container::{self, Container, Pooling, Values, Weights};
use super::forward::Oracle;
use super::kept::Kept;
use super::noise::{self, Rounding};
use super::{refusals, values};

/// Exports `network`, then checks the container, its logits, and their signal-to-noise ratio.
pub(crate) fn check(
    subject: &Subject,
    network: &Network,
    options: &Options,
    counts: &mut Counts,
) -> Result<(), Fault> {
    let images = subject.calibration();
    let Written { quantized, bytes } = match export::integers(network, &images, options) {
        Ok(written) => written,
        Err(error) => {
            let reason = refusals::export(subject, network, options, &error)?;
            counts.count(format!("rejected: {reason}"));
            return Ok(());
        }
    };
    let read = match container::read(&bytes) {
        Ok(read) => read,
        Err(what) => return fault("container", what),
    };
    holds(&read, &quantized.spec.layers)?;
    sums_fit(&read)?;
    let logits = run(subject, &bytes, &read, counts)?;
    counts.count(format!("containers of {}", options.weights.name()));
    let adds = network.layers.iter().any(|layer| layer.skip.is_some());
    let step = if adds {
        "quantize an addition"
    } else {
        "quantize"
    };
    quality(step, subject, options, &logits, counts)
}

/// Checks that the container contains the numbers that were written to it.
fn holds(read: &Container, spec: &[LayerSpec]) -> Result<(), Fault> {
    let step = "container";
    for (index, (read, spec)) in read.layers.iter().zip(spec).enumerate() {
        let same = match (&read.weights, &spec.weights) {
            (Weights::None, WeightsSpec::None) => true,
            (Weights::Integers(bias, rows), WeightsSpec::Integers { bias: b, rows: r }) => {
                bias == b
                    && rows.len() == r.len()
                    && rows.iter().zip(r).all(|(read, spec)| {
                        let spec = spec.iter().filter(|(_, weight)| *weight != 0);
                        let spec = spec.map(|&(column, weight)| (column.into(), weight.into()));
                        spec.eq(read.iter().copied().filter(|(_, weight)| *weight != 0))
                    })
            }
            (Weights::Floats(bias, rows), WeightsSpec::Floats { bias: b, rows: r }) => {
                bias == b
                    && rows.len() == r.len()
                    && rows.iter().zip(r).all(|(read, spec)| {
                        let spec = spec.iter().map(|&(column, weight)| (column.into(), weight));
                        spec.eq(read.iter().copied())
                    })
            }
            _ => false,
        };
        let links = (read.source, read.skip.map(|(back, _)| back));
        let expected = (spec.source, spec.skip.as_ref().map(|skip| skip.back));
        if !same || links != expected || read.shift != u32::from(spec.shift) {
            return fault(step, format!("layer {index} is not read as it was written"));
        }
    }
    Ok(())
}

/// Checks that no input can make a sum overflow 32 bits.
fn sums_fit(read: &Container) -> Result<(), Fault> {
    for (index, layer) in read.layers.iter().enumerate() {
        let Weights::Integers(bias, rows) = &layer.weights else {
            continue;
        };
        let skip = layer.skip.map_or(0, |(_, shift)| 255_i64 << shift);
        let area = match layer.pooling {
            Some((Pooling::Average, size)) => (size * size) as i64,
            _ => 1,
        };
        for (&bias, row) in bias.iter().zip(rows) {
            let part = |sign: i64| -> i64 {
                let parts = row
                    .iter()
                    .map(|&(_, weight)| (sign * i64::from(weight)).max(0));
                255 * parts.sum::<i64>()
            };
            let most = (i64::from(bias) + part(1) + skip).max(0) * area;
            let least = i64::from(bias) - part(-1);
            if i32::try_from(most).is_err() || i32::try_from(least).is_err() {
                return fault(
                    "container",
                    format!("sums of layer {index} could overflow 32 bits"),
                );
            }
        }
    }
    Ok(())
}

/// Checks that the engine computes the same logits as the interpreter, and returns those of each
/// image.
fn run(
    subject: &Subject,
    bytes: &AlignedBytes,
    read: &Container,
    counts: &mut Counts,
) -> Result<Vec<Vec<i32>>, Fault> {
    let model = match Model::parse(bytes) {
        Ok(model) => model,
        Err(error) => return fault("engine", format!("rejects the container: {error}")),
    };
    let engine = match Engine::new(model) {
        Ok(engine) => engine,
        Err(error) => return fault("engine", error.to_string()),
    };
    let mut logits = Vec::new();
    for (number, image) in subject.images.iter().enumerate() {
        let expected = match container::run(read, image) {
            Ok(mut values) => values.pop(),
            Err(what) => return fault("container", what),
        };
        // An inference must not depend on the previous contents of the arena.
        let mut arena = vec![0xA5A5_A5A5 ^ number as u32; model.arena_words()];
        let found = match engine.infer(image, &mut arena) {
            Ok(found) => found.to_vec(),
            Err(error) => return fault("engine", error.to_string()),
        };
        if expected != Some(Values::Sums(found.clone())) {
            let what = format!("image {number} has the logits {found:?}, not {expected:?}");
            return fault("engine", what);
        }
        logits.push(found);
    }
    for layer in model.layers() {
        counts.count(format!("layers in {}", layer.encoding().name()));
    }
    counts.kept.push(Kept {
        container: bytes.to_vec(),
        answers: subject.images[values::IMAGES - 1..][..2]
            .iter()
            .cloned()
            .zip(logits[values::IMAGES - 1..].iter().cloned())
            .collect(),
    });
    Ok(logits)
}

/// The tolerated loss of signal-to-noise ratio, in dB, beyond what rounding explains: steps are
/// powers of two apart, and a few images give only a rough estimate of the noise.
const MARGIN: f64 = 14.0;

/// A signal-to-noise ratio, in dB, that is sufficient whatever rounding explains. Average pooling
/// of a signed map keeps the map's step, which is two bits coarser than the averages require.
const ENOUGH: f64 = 12.0;

/// Returns how the weights are rounded; `None` if they are not rounded, or if rounding is so
/// coarse that any noise is possible.
fn rounding(options: &Options) -> Option<Rounding> {
    let bits = match options.weights {
        WeightType::Int(bits @ 4..) => bits,
        WeightType::Int(_) | WeightType::Ternary | WeightType::F32 => return None,
    };
    let rice = EncodingChoice::Only(Encoding::Rice);
    Some(Rounding {
        levels: 2_f64.powi(i32::from(bits) - 1),
        short_biases: options.encoding == rice || options.encoding == EncodingChoice::Auto,
    })
}

/// Checks that the noise of the logits is no larger than rounding explains.
fn quality(
    step: &'static str,
    subject: &Subject,
    options: &Options,
    logits: &[Vec<i32>],
    counts: &mut Counts,
) -> Result<(), Fault> {
    let logits: Vec<Vec<f64>> = logits
        .iter()
        .map(|logits| logits.iter().map(|&logit| logit.into()).collect())
        .collect();
    let images = values::IMAGES;
    let scores = &subject.scores[..images];
    let Some(found) = signal_to_noise(scores, &logits[..images]) else {
        counts.count("containers of scores that do not vary");
        return Ok(());
    };
    let name = options.weights.name();
    counts.noise.entry(name.clone()).or_default().push(found);
    let least = match rounding(options) {
        None if options.weights == WeightType::F32 => 60.0,
        None => return Ok(()),
        Some(_) if found >= ENOUGH => return Ok(()),
        Some(rounding) => (explained(subject, rounding, scores) - MARGIN).min(ENOUGH),
    };
    if found < least {
        let what = format!(
            "the logits of {name} have a signal-to-noise ratio of {found:.1} dB; rounding should leave at least {least:.1} dB: {options:?}"
        );
        return fault(step, what);
    }
    Ok(())
}

/// Returns the signal-to-noise ratio, in dB, that rounding alone leaves: the smallest of several
/// draws.
fn explained(subject: &Subject, rounding: Rounding, scores: &[Vec<f64>]) -> f64 {
    let oracle = || Oracle::new(&subject.graph, &subject.state, &subject.keep);
    let draws = (0..3).map(|draw| {
        let random = &mut Random::stream(draw, "rounding to integers");
        let images = &subject.normal[..values::IMAGES];
        let noisy = noise::scores(&oracle(), oracle(), images, rounding, random);
        signal_to_noise(scores, &noisy).unwrap_or(f64::NEG_INFINITY)
    });
    draws.fold(f64::INFINITY, f64::min)
}

/// Returns the signal-to-noise ratio of `logits` relative to `scores`, in dB, after scaling the
/// logits to fit the scores best. Only variation between images counts; returns `None` if the
/// scores hardly vary.
fn signal_to_noise(scores: &[Vec<f64>], logits: &[Vec<f64>]) -> Option<f64> {
    let (varying, means) = centred(scores);
    let (found, _) = centred(logits);
    let power = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    let constant = scores.len() as f64 * power(&means);
    let signal = power(&varying);
    if signal <= 1e-4 * constant || signal == 0.0 {
        return None;
    }
    let product: f64 = varying.iter().zip(&found).map(|(a, b)| a * b).sum();
    let unit = match power(&found) {
        0.0 => 0.0,
        power => (product / power).max(0.0),
    };
    let errors = varying
        .iter()
        .zip(&found)
        .map(|(a, b)| (a - unit * b).powi(2));
    let noise = errors.sum::<f64>().max(signal * 1e-20);
    Some(10.0 * (signal / noise).log10())
}

/// Returns the concatenated `values` of all images, each minus the mean of its class, and these
/// means.
fn centred(values: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let classes = values.first().map_or(0, Vec::len);
    let mean = |class: usize| {
        let of_class = values.iter().map(|values| values[class]);
        of_class.sum::<f64>() / values.len() as f64
    };
    let means: Vec<f64> = (0..classes).map(mean).collect();
    let centred = values
        .iter()
        .flat_map(|values| values.iter().zip(&means).map(|(value, mean)| value - mean));
    (centred.collect(), means)
}
