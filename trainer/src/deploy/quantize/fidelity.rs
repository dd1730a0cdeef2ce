//! Measures how closely a layer's integers follow the f32 network.
//!
//! A layer's stored activations times their step are compared with the f32 network's activations
//! for the same calibration images. Both are computed from the pixels, so errors accumulate from
//! layer to layer.

use serde::Serialize;

use super::Values;
use crate::deploy::Network;

/// The signal-to-noise ratio, in decibels, below which a layer's integers no longer follow the f32
/// network: the error is a third of the signal.
const APART: f64 = 10.0;

/// The error of a layer's integers relative to f32, over the calibration images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fidelity {
    /// The layer's name; see [`Layer::name`](crate::deploy::Layer::name).
    pub layer: String,
    /// The root mean square of the f32 activations.
    pub signal: f64,
    /// The root mean square of the error.
    pub noise: f64,
    /// The signal-to-noise ratio in decibels, 20 log10(signal / noise); `None` if either is 0.
    pub snr_db: Option<f64>,
}

/// Returns the fidelity of each layer of `network`; `values` are the layers' outputs.
pub(super) fn of(network: &Network, values: &[Values]) -> Vec<Fidelity> {
    let layers = network.layers.iter().zip(values);
    layers
        .map(|(layer, values)| fidelity(&layer.name, values))
        .collect()
}

/// Returns the fidelity of the layer called `layer` from its output `values`.
fn fidelity(layer: &str, values: &Values) -> Fidelity {
    let (mut signal, mut noise, mut count) = (0.0, 0.0, 0_usize);
    for (stored, exact) in values.stored.iter().zip(&values.exact) {
        for (&stored, &exact) in stored.iter().zip(exact) {
            let exact = f64::from(exact);
            let found = (f64::from(stored) - values.zero) * values.step;
            signal += exact * exact;
            noise += (found - exact).powi(2);
        }
        count += exact.len();
    }
    let mean = |sum: f64| (sum / count.max(1) as f64).sqrt();
    let (signal, noise) = (mean(signal), mean(noise));
    Fidelity {
        layer: layer.into(),
        signal,
        noise,
        snr_db: (signal > 0.0 && noise > 0.0).then(|| 20.0 * (signal / noise).log10()),
    }
}

/// Returns the first of `layers` whose ratio is below 10 dB, or else the layer with the lowest
/// ratio; `None` if no layer has an error.
#[must_use]
pub fn first_apart(layers: &[Fidelity]) -> Option<&Fidelity> {
    let ratio = |layer: &Fidelity| match layer.snr_db {
        Some(ratio) => ratio,
        // Either the signal is 0, or there is no error.
        None if layer.noise > 0.0 => f64::NEG_INFINITY,
        None => f64::INFINITY,
    };
    let differing = || layers.iter().filter(|layer| layer.noise > 0.0);
    let lowest = || differing().min_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let apart = differing().find(|layer| layer.snr_db.is_some_and(|ratio| ratio < APART));
    apart.or_else(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(exact: &[f32], stored: &[f32], step: f64, zero: f64) -> Values {
        Values {
            exact: vec![exact.to_vec()],
            stored: vec![stored.to_vec()],
            step,
            zero,
            shape: [exact.len(), 1, 1],
        }
    }

    #[test]
    fn fidelity_is_the_ratio_of_signal_and_error() {
        // Errors of 1 and -1 in 30 and 40: a ratio of 25 sqrt 2, or 30.97 dB.
        let found = fidelity("a", &values(&[30.0, 40.0], &[143.5, 147.5], 2.0, 128.0));
        assert!((found.signal - 1250_f64.sqrt()).abs() < 1e-9 && found.noise == 1.0);
        assert!((found.snr_db.unwrap() - 30.969).abs() < 1e-3);
        let exact = fidelity("b", &values(&[3.0], &[6.0], 0.5, 0.0));
        assert_eq!((exact.noise, exact.snr_db), (0.0, None));
        assert!(first_apart(std::slice::from_ref(&exact)).is_none());
        let far = Fidelity {
            snr_db: Some(9.0),
            ..found.clone()
        };
        let farther = Fidelity {
            snr_db: Some(-3.0),
            ..found.clone()
        };
        let layers = [exact, found, far, farther];
        assert_eq!(first_apart(&layers), Some(&layers[2]));
        assert_eq!(first_apart(&layers[..2]), Some(&layers[1]));
    }
}
