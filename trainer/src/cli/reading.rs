//! Loads the dataset given with `--data`; options for what its files leave open.

use anyhow::Result;
use clap::Args;

use super::console::Console;
use super::next::Line;
use super::usage;
use crate::data::catalogue::{self, Places};
use crate::data::{
    Dataset, Extent, InputRange, InputScale, Normalisation, NormalisationSource, PerChannel,
    Reading, ScaleError, Scaling, TargetSource, TestShare,
};
use crate::numbers::thousands;

/// The magnitude above which a mean or standard deviation cannot be one of pixels from 0 to 1.
const LARGE: f32 = 1.5;

/// What the files of a dataset leave open. What is not given is as in the recipe file, or else the
/// default.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Range of features that becomes the inputs 0 to 255: channel, feature or all for the range in
    /// the training part, or MIN:MAX [default: per channel, per feature of a table; unsigned bytes
    /// are kept, signed ones shifted by 128]
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    input_range: Option<InputRange>,
    /// Share of each class to hold out for testing if the data have no test part; 1 to test on all
    /// samples, without holding any out [default: 1/6]
    #[arg(long, value_name = "SHARE")]
    test_share: Option<TestShare>,
    /// Column of labels in a CSV file: its name, or its number from 1 [default: label, class,
    /// target or y, or else the last]; none if arrays have no labels
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Targets that are numbers instead of classes: inputs for those of an autoencoder; columns of a
    /// table, separated by commas: their names, or their numbers from 1; or y for the array y
    #[arg(long, value_name = "inputs|COLUMNS")]
    targets: Option<TargetSource>,
    /// Size to which pictures are resized, such as 32x32: height, width
    #[arg(long, value_name = "HxW")]
    resize: Option<Extent<2>>,
    /// Shape of a sample whose features are in a row, such as 1x28x28: channels, height, width
    #[arg(long, value_name = "CxHxW")]
    shape: Option<Extent<3>>,
}

impl Options {
    /// Overrides `reading` with the options.
    pub(super) fn apply(&self, reading: &mut Reading) {
        let Self {
            input_range,
            test_share,
            label,
            targets,
            resize,
            shape,
        } = self;
        if input_range.is_some() {
            (reading.input_range, reading.map) = (*input_range, None);
        }
        reading.test_share = test_share.or(reading.test_share);
        reading.label = label.clone().or(reading.label.take());
        reading.targets = targets.clone().or(reading.targets.take());
        reading.resize = resize.or(reading.resize);
        reading.shape = shape.or(reading.shape);
    }

    /// Returns `line` with the options that are given.
    pub(super) fn repeated(&self, line: Line) -> Line {
        let options = [
            ("--input-range", self.input_range.map(String::from)),
            (
                "--test-share",
                self.test_share.map(|share| f64::from(share).to_string()),
            ),
            ("--label", self.label.clone()),
            ("--targets", self.targets.clone().map(String::from)),
            ("--resize", self.resize.map(String::from)),
            ("--shape", self.shape.map(String::from)),
        ];
        line.given(options)
    }

    /// Returns the first of the options that is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let Self {
            input_range,
            test_share,
            label,
            targets,
            resize,
            shape,
        } = self;
        let options = [
            ("--input-range", input_range.is_some()),
            ("--test-share", test_share.is_some()),
            ("--label", label.is_some()),
            ("--targets", targets.is_some()),
            ("--resize", resize.is_some()),
            ("--shape", shape.is_some()),
        ];
        let given = options.into_iter().find(|(_, is_given)| *is_given);
        given.map(|(option, _)| option)
    }

    /// Checks that no option is given without a dataset, on which it would have no effect.
    ///
    /// # Errors
    /// Returns an error that names the first such option.
    pub(super) fn check_use(&self, has_data: bool) -> Result<()> {
        match self.given() {
            Some(option) if !has_data => Err(usage::wrong(format!(
                "{option} says how a dataset is read, but none is given: add --data, or leave {option} out"
            ))),
            _ => Ok(()),
        }
    }

    /// Checks whether a range of features is given.
    pub(super) fn sets_range(&self) -> bool {
        self.input_range.is_some()
    }

    /// Returns the reading that the options state.
    pub(super) fn reading(&self) -> Reading {
        let mut reading = Reading::default();
        self.apply(&mut reading);
        reading
    }
}

/// The normalisation of inputs that is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// What options, or the architecture's file, state in the units of the data.
    pub(super) scale: InputScale,
    /// The mean and standard deviation of `pixel / 255` that a recipe records, which have
    /// precedence.
    pub(super) recorded: [Option<PerChannel>; 2],
}

impl Asked {
    /// Checks whether anything is asked for.
    pub(super) fn is_stated(&self) -> bool {
        !self.scale.is_empty() || self.recorded.iter().any(Option::is_some)
    }
}

/// Loads the dataset given with `--data`, as `reading` says.
pub(super) fn load(name: &str, reading: &Reading, console: &Console) -> Result<Dataset> {
    load_as(name, reading, Asked::default(), console)
}

/// Loads the dataset given with `--data`, as `reading` says, and sets the normalisation that is
/// `asked` for. What is not stated is the dataset's own.
pub(super) fn load_as(
    name: &str,
    reading: &Reading,
    asked: Asked,
    console: &Console,
) -> Result<Dataset> {
    let mut data = catalogue::load_as(name, &Places::from_environment(), reading)?;
    note(&data, reading, console);
    let own = data.normalisation.clone();
    let is_stated = asked.is_stated();
    if is_stated {
        data.normalisation = stated(&data, asked, console)?;
    } else if own.source == NormalisationSource::Computed {
        let Normalisation { mean, std, .. } = &own;
        console.note(&format!(
            "{name}: pixels are normalised by their own mean {mean:.4} and standard deviation {std:.4}"
        ));
    }
    // Published sets and `digits` have no duplicates, or a known few.
    if own.source == NormalisationSource::Computed {
        match data.repeated() {
            0 => {}
            repeated => console.note(&format!(
                "warning: {repeated} of the {} test images of {name} are also training images: accuracies will be too high",
                data.test.len()
            )),
        }
    }
    Ok(data)
}

/// Returns the normalisation of `data` that is `asked` for.
///
/// # Errors
/// Returns an error if it cannot be computed for `data`.
fn stated(data: &Dataset, asked: Asked, console: &Console) -> Result<Normalisation> {
    let Asked {
        scale,
        recorded: [mean, std],
    } = asked;
    let map = data.reading.map.as_ref();
    let own = Scaling::from(&data.normalisation);
    let scaling = scale.scaling(&own, map, data.train.shape()[0]);
    let scaling = scaling.map_err(|error| {
        let name = &data.name;
        usage::wrong(match error {
            ScaleError::Value { .. } => format!("--{error} ({name})"),
            ScaleError::Ranges => {
                format!("{name}: {error} (--input-range channel, all or MIN:MAX)")
            }
        })
    })?;
    let is_large = |values: &Option<PerChannel>| {
        let mut values = values.iter().flat_map(PerChannel::values);
        values.any(|value| value.abs() > LARGE)
    };
    if map.is_none() && scale.divide.is_none() && (is_large(&scale.mean) || is_large(&scale.std)) {
        console.note(&format!(
            "warning: the bytes of {} are divided by 255 before the mean is subtracted; if mean and standard deviation are in units from 0 to 255, add --divide 1",
            data.name
        ));
    }
    Ok(Normalisation {
        mean: mean.unwrap_or(scaling.mean),
        std: std.unwrap_or(scaling.std),
        source: NormalisationSource::Stated,
    })
}

/// Notes how `data` was read, and which parts of `stated` had no effect on it.
pub(super) fn note(data: &Dataset, stated: &Reading, console: &Console) {
    let (name, reading) = (&data.name, &data.reading);
    note_unused(data, stated, console);
    if let (Some(label), None) = (&reading.label, &stated.label) {
        console.note(&format!(
            "{name}: labels are those of column {label} (--label names another)"
        ));
    }
    if reading.test_share.is_some_and(TestShare::is_whole) {
        console.note(&format!(
            "{name} has no test part: all of its {} samples are for testing, and for calibration or training, too",
            thousands(data.test.len())
        ));
    } else if reading.test_share.is_some() {
        let (train, test) = (data.train.len(), data.test.len());
        console.note(&format!(
            "{name} has no test part: {} of its {} samples are held out for testing, the same share of each class, always the same ones",
            thousands(test),
            thousands(train + test)
        ));
    }
    let (None, Some(map), Some(range)) = (&stated.map, &reading.map, reading.input_range) else {
        return;
    };
    let least = map.minimum().iter().copied().fold(f64::INFINITY, f64::min);
    let most = map
        .maximum()
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    let how = match range {
        InputRange::Channel => "per channel, by its range for training",
        InputRange::Feature => "each by its range for training",
        InputRange::All => "all by their range for training",
        InputRange::Fixed(..) => "all by that range",
    };
    console.note(&format!(
        "{name}: features from {least} to {most} become inputs from 0 to 255, {how}"
    ));
}

/// Notes which parts of `stated` had no effect on `data`.
fn note_unused(data: &Dataset, stated: &Reading, console: &Console) {
    let (name, reading) = (&data.name, &data.reading);
    for (what, is_stated, is_used, reason) in [
        (
            "an input range",
            stated.input_range.is_some(),
            reading.map.is_some(),
            "whose samples are bytes",
        ),
        (
            "a test share",
            stated.test_share.is_some(),
            reading.test_share.is_some(),
            "which has a test part",
        ),
        (
            "a column of labels",
            stated.label.is_some(),
            reading.label.is_some(),
            "which is no table",
        ),
        (
            "a size",
            stated.resize.is_some(),
            reading.resize.is_some(),
            "which is no folder of pictures",
        ),
        (
            "a shape",
            stated.shape.is_some(),
            reading.shape.is_some(),
            "whose samples have one",
        ),
    ] {
        if is_stated && !is_used {
            console.note(&format!("{what} has no effect on {name}, {reason}"));
        }
    }
}
