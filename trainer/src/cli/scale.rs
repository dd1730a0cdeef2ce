//! Options for the input normalisation that a network expects.

use anyhow::Result;
use clap::Args;

use super::next::Line;
use crate::data::PerChannel;

/// The normalisation of inputs.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Mean of the input normalisation (pixel / 255 - MEAN) / STD, a number or a fraction, or one
    /// per channel such as 0.49,0.48,0.45 [default: the dataset's]
    #[arg(long, value_parser = per_channel, allow_hyphen_values = true)]
    pub(super) mean: Option<PerChannel>,
    /// Standard deviation of the input normalisation; 1/255 (with a mean of 0) for raw pixels from
    /// 0 to 255 [default: the dataset's]
    #[arg(long, value_parser = per_channel, allow_hyphen_values = true)]
    pub(super) std: Option<PerChannel>,
}

impl Options {
    /// Returns the first of the options that is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        match (&self.mean, &self.std) {
            (Some(_), _) => Some("--mean"),
            (None, Some(_)) => Some("--std"),
            (None, None) => None,
        }
    }

    /// Returns `line` with the options that are given.
    pub(super) fn repeated(&self, mut line: Line) -> Line {
        for (option, values) in [("--mean", &self.mean), ("--std", &self.std)] {
            if let Some(values) = values {
                let values: Vec<String> = values.values().iter().map(f32::to_string).collect();
                line = line.word(option).word(&values.join(","));
            }
        }
        line
    }
}

/// Parses a number or a fraction such as 1/255.
fn number(text: &str) -> Result<f32, String> {
    let part = |text: &str| {
        let number: Result<f64, _> = text.trim().parse();
        number.map_err(|_| format!("{text:?} is not a number"))
    };
    Ok(match text.split_once('/') {
        None => part(text)? as f32,
        Some((a, b)) => (part(a)? / part(b)?) as f32,
    })
}

/// Parses a number for all channels, or a list with one per channel.
fn per_channel(text: &str) -> Result<PerChannel, String> {
    let values = text.split(',').map(number);
    values.collect::<Result<Vec<f32>, _>>().map(Into::into)
}
