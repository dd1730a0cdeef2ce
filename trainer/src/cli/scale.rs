//! Options for the input normalisation that a network expects, in the units of the data.

use clap::Args;

use super::next::Line;
use crate::data::{InputScale, PerChannel};

/// The normalisation of inputs.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Mean of the input normalisation (x / DIVIDE - MEAN) / STD that the network expects, in the
    /// units of the data: a number or a fraction, or one per channel such as 0.49,0.48,0.45
    /// [default: that of the architecture's file, or else the dataset's]
    #[arg(long, value_parser = per_channel, allow_hyphen_values = true)]
    mean: Option<PerChannel>,
    /// Standard deviation of the input normalisation, likewise; 1/255 (with a mean of 0) for raw
    /// pixels from 0 to 255
    #[arg(long, value_parser = per_channel, allow_hyphen_values = true)]
    std: Option<PerChannel>,
    /// Divisor of the input normalisation, as PyTorch's ToTensor divides pixels by 255 [default:
    /// 255 for unsigned bytes, 1 for other features]
    #[arg(long, value_parser = number, allow_hyphen_values = true)]
    divide: Option<f64>,
}

impl Options {
    /// Returns what the options state.
    pub(super) fn scale(&self) -> InputScale {
        InputScale {
            mean: self.mean.clone(),
            std: self.std.clone(),
            divide: self.divide,
        }
    }

    /// Returns the first of the options that is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let options = [
            ("--mean", self.mean.is_some()),
            ("--std", self.std.is_some()),
            ("--divide", self.divide.is_some()),
        ];
        let given = options.into_iter().find(|(_, is_given)| *is_given);
        given.map(|(option, _)| option)
    }

    /// Checks whether the option for `field`, `pixel_mean` or `pixel_std`, is given.
    pub(super) fn gives(&self, field: &str) -> bool {
        match field {
            "pixel_mean" => self.mean.is_some(),
            "pixel_std" => self.std.is_some(),
            _ => false,
        }
    }

    /// Returns `line` with the options that are given.
    pub(super) fn repeated(&self, line: Line) -> Line {
        let list = |values: &PerChannel| {
            let values: Vec<String> = values.values().iter().map(f32::to_string).collect();
            values.join(",")
        };
        let options = [
            ("--mean", self.mean.as_ref().map(list)),
            ("--std", self.std.as_ref().map(list)),
            ("--divide", self.divide.map(|divide| divide.to_string())),
        ];
        line.given(options)
    }
}

/// Parses a number or a fraction such as 1/255.
fn number(text: &str) -> Result<f64, String> {
    let part = |text: &str| {
        let number: Result<f64, _> = text.trim().parse();
        number.map_err(|_| format!("{text:?} is not a number"))
    };
    Ok(match text.split_once('/') {
        None => part(text)?,
        Some((a, b)) => part(a)? / part(b)?,
    })
}

/// Parses a number for all channels, or a list with one per channel.
fn per_channel(text: &str) -> Result<PerChannel, String> {
    let values = text.split(',').map(|text| Ok(number(text)? as f32));
    values.collect::<Result<Vec<f32>, _>>().map(Into::into)
}
