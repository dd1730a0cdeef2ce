//! Quantizes pooling layers.

use rarefy_format::MAX_SHIFT;

use super::Values;
use crate::deploy::network::{Layer, Operation};
use crate::graph::Pooling;

/// Quantizes a pooling layer; returns its shift and its output values. Maxima need no shift. The
/// mean of `area` integers is their sum shifted right, so its step and zero point differ from the
/// source's.
///
/// The step of a mean is at least `least` if a larger shift can make it so.
pub(super) fn pool(layer: &Layer, source: &Values, kind: Pooling, least: f64) -> (u8, Values) {
    let every = |images: &[Vec<f32>]| -> Vec<Vec<f32>> {
        let images = images.iter();
        images
            .map(|values| layer.forward(values, source.shape, None))
            .collect()
    };
    let (exact, pooled) = (every(&source.exact), every(&source.stored));
    let Operation::Pool { window, .. } = layer.operation else {
        unreachable!("the layer pools");
    };
    let area = window.taps() as f64;
    let with_shift = |shift: u8| {
        let one = 2_f64.powi(shift.into());
        // With a shift of 1 or more, the kernel rounds half up.
        let half = if shift == 0 { 0.0 } else { 0.5 };
        let requantize = |mean: &f32| {
            let sum = (f64::from(*mean) * area).round();
            (sum / one + half).floor().clamp(0.0, 255.0) as f32
        };
        let stored = pooled
            .iter()
            .map(|image| image.iter().map(requantize).collect());
        Values {
            stored: stored.collect(),
            exact: exact.clone(),
            step: source.step * one / area,
            zero: source.zero * area / one,
            shape: layer.shape,
        }
    };
    match kind {
        Pooling::Max => {
            let values = Values {
                stored: pooled,
                exact,
                step: source.step,
                zero: source.zero,
                shape: layer.shape,
            };
            (0, values)
        }
        Pooling::Average => {
            let exponent = area.log2();
            let coarse = (least * area / source.step).log2().ceil();
            let choices = [exponent.floor(), exponent.ceil()].map(|shift| {
                // `coarse` is minus infinity if any step will do.
                let shift = shift.max(coarse).min(MAX_SHIFT.into()) as u8;
                (shift, with_shift(shift))
            });
            let [floor, ceil] = choices;
            if error(&floor.1) <= error(&ceil.1) {
                floor
            } else {
                ceil
            }
        }
    }
}

/// Returns the total squared error of the stored values.
fn error(values: &Values) -> f64 {
    let images = values.stored.iter().zip(&values.exact);
    let of = |(stored, exact): (&f32, &f32)| {
        ((f64::from(*stored) - values.zero) * values.step - f64::from(*exact)).powi(2)
    };
    images
        .flat_map(|(stored, exact)| stored.iter().zip(exact))
        .map(of)
        .sum()
}
