//! Loads the dataset given with `--data`; options for what its files leave open.

use std::path::Path;

use anyhow::{Error, Result};
use clap::Args;

use super::console::Console;
use super::next::{Line, quoted};
use super::usage;
use crate::data::catalogue::{self, Places};
use crate::data::tables::Tables;
use crate::data::{
    Dataset, Extent, InputRange, InputScale, Normalisation, NormalisationSource, Note, PerChannel,
    Reading, ScaleError, Scaling, Split, TargetSource, TestShare,
};
use crate::numbers::thousands;

/// The magnitude above which a mean or standard deviation cannot be one of pixels from 0 to 1.
const LARGE: f32 = 1.5;

/// The most columns of a map that may be channels of a sensor.
const FEW_CHANNELS: usize = 16;

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
    /// Targets that are numbers instead of classes: inputs for those of an autoencoder; columns of
    /// a table, separated by commas: their names, or their numbers from 1; or y for the array y
    #[arg(long, value_name = "inputs|COLUMNS")]
    targets: Option<TargetSource>,
    /// Size to which pictures are resized, such as 32x32: height, width
    #[arg(long, value_name = "HxW")]
    resize: Option<Extent<2>>,
    /// Shape of a sample whose features are in a row, or whose channels come last, such as 1x28x28:
    /// channels, height, width
    #[arg(long, value_name = "CxHxW")]
    shape: Option<Extent<3>>,
    /// Columns of a CSV file to leave out, separated by commas: their names, or their numbers from
    /// 1
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    drop: Vec<String>,
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
            drop,
        } = self;
        if input_range.is_some() {
            (reading.input_range, reading.map) = (*input_range, None);
        }
        reading.test_share = test_share.or(reading.test_share);
        reading.label = label.clone().or(reading.label.take());
        reading.targets = targets.clone().or(reading.targets.take());
        reading.resize = resize.or(reading.resize);
        reading.shape = shape.or(reading.shape);
        if !drop.is_empty() {
            reading.drop.clone_from(drop);
        }
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
            (
                "--drop",
                (!self.drop.is_empty()).then(|| self.drop.join(",")),
            ),
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
            drop,
        } = self;
        let options = [
            ("--input-range", input_range.is_some()),
            ("--test-share", test_share.is_some()),
            ("--label", label.is_some()),
            ("--targets", targets.is_some()),
            ("--resize", resize.is_some()),
            ("--shape", shape.is_some()),
            ("--drop", !drop.is_empty()),
        ];
        let given = options.into_iter().find(|(_, is_given)| *is_given);
        given.map(|(option, _)| option)
    }

    /// Notes which of the options that are given have no effect on `data`.
    pub(super) fn note_unused(&self, data: &Dataset, console: &Console) {
        let (name, reading) = (&data.name, &data.reading);
        for (what, is_given, is_used, reason) in [
            (
                "an input range",
                self.input_range.is_some(),
                reading.map.is_some(),
                "whose samples are bytes",
            ),
            (
                "a test share",
                self.test_share.is_some(),
                reading.test_share.is_some(),
                "which has a test part",
            ),
            (
                "a column of labels",
                self.label.is_some(),
                reading.label.is_some(),
                "which is no table",
            ),
            (
                "a size",
                self.resize.is_some(),
                reading.resize.is_some(),
                "which is no folder of pictures",
            ),
            (
                "a shape",
                self.shape.is_some(),
                reading.shape.is_some(),
                "whose samples have one",
            ),
            (
                "leaving columns out",
                !self.drop.is_empty(),
                !reading.drop.is_empty(),
                "which is no table",
            ),
        ] {
            if is_given && !is_used {
                console.note(&format!("{what} has no effect on {name}, {reason}"));
            }
        }
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
    /// Whether the network was trained elsewhere: nothing is known of its training samples.
    pub(super) is_foreign: bool,
}

impl Asked {
    /// Checks whether anything is asked for.
    pub(super) fn is_stated(&self) -> bool {
        !self.scale.is_empty() || self.recorded.iter().any(Option::is_some)
    }

    /// Warns if either a mean or a standard deviation of `data` is stated, but not both.
    fn note_lacking(&self, data: &Dataset, console: &Console) {
        let [mean, std] = &self.recorded;
        let has_mean = self.scale.mean.is_some() || mean.is_some();
        let has_std = self.scale.std.is_some() || std.is_some();
        let (stated, missing, own) = match (has_mean, has_std) {
            (true, false) => ("--mean", "--std", &data.normalisation.std),
            (false, true) => ("--std", "--mean", &data.normalisation.mean),
            _ => return,
        };
        console.note(&format!(
            "warning: {stated} is stated without {missing}, which is that of {}, {own:.4}, in units of the inputs from 0 to 1: state both if the network expects another",
            data.name
        ));
    }
}

/// Warns that the network in `weights` is taken to expect the normalisation of `data`, because none
/// is stated.
pub(super) fn note_assumed(weights: &str, data: &Dataset, console: &Console) {
    let Normalisation { mean, std, .. } = &data.normalisation;
    console.note(&format!(
        "warning: assuming that the weights in {weights} were trained with the normalisation of {}, (byte / 255 - {mean}) / {std}: otherwise, state theirs with --mean and --std",
        data.name
    ));
}

/// Loads the dataset given with `--data`, as `options` say.
pub(super) fn load(name: &str, options: &Options, console: &Console) -> Result<Dataset> {
    let data = load_as(name, &options.reading(), Asked::default(), console)?;
    options.note_unused(&data, console);
    Ok(data)
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
    let own = data.normalisation.clone();
    let (is_stated, is_foreign) = (asked.is_stated(), asked.is_foreign);
    let is_recorded = asked.recorded.iter().all(Option::is_some);
    let per_feature = match is_recorded {
        true => None,
        false => {
            let found = (asked.scale).per_feature(data.reading.map.as_ref(), data.train.shape());
            found.map_err(|error| of_scale(name, &error))?
        }
    };
    if let Some((map, Scaling { mean, std })) = per_feature {
        let mapped = Reading {
            input_range: Some(InputRange::Feature),
            map: Some(map),
            ..reading.clone()
        };
        data = catalogue::load_as(name, &Places::from_environment(), &mapped)?;
        note(&data, &mapped, console);
        console.note(&format!(
            "{name}: each feature has a range of its own that becomes the inputs 0 to 255, as its mean and standard deviation require"
        ));
        data.normalisation = Normalisation {
            mean,
            std,
            source: NormalisationSource::Stated,
        };
    } else if is_stated {
        note(&data, reading, console);
        asked.note_lacking(&data, console);
        data.normalisation = stated(&data, asked, console)?;
    } else {
        note(&data, reading, console);
    }
    if !is_stated && own.source == NormalisationSource::Computed {
        let Normalisation { mean, std, .. } = &own;
        console.note(&format!(
            "{name}: inputs are normalised by their own mean {mean:.4} and standard deviation {std:.4}"
        ));
    }
    // Published sets and `digits` have no duplicates, or a known few.
    if own.source == NormalisationSource::Computed && !is_foreign {
        note_repeated(&data, console);
    }
    Ok(data)
}

/// Warns if test samples of `data` are also training samples, unless all samples are both.
fn note_repeated(data: &Dataset, console: &Console) {
    let is_whole = data.reading.test_share.is_some_and(TestShare::is_whole);
    let (repeated, noun) = (data.repeated(), data.noun());
    if repeated == 0 || is_whole {
        return;
    }
    let (of, name) = (thousands(data.test.len()), &data.name);
    let repeated = thousands(repeated);
    console.note(&match data.reading.map {
        None => format!(
            "warning: {repeated} of the {of} test {noun} of {name} are also training {noun}: accuracies will be too high"
        ),
        // Different features can become equal bytes.
        Some(_) => format!(
            "warning: {repeated} of the {of} test {noun} of {name} become the same bytes as training {noun}: if they are the same {noun}, accuracies will be too high"
        ),
    });
}

/// Returns the error that the normalisation stated for the dataset `name` cannot be used.
fn of_scale(name: &str, error: &ScaleError) -> Error {
    usage::wrong(match error {
        ScaleError::Value { .. } => format!("--{error} ({name})"),
        ScaleError::Ranges => {
            format!("{name}: {error} (--input-range channel, all or MIN:MAX)")
        }
    })
}

/// Returns the normalisation of `data` that is `asked` for.
///
/// # Errors
/// Returns an error if it cannot be computed for `data`.
fn stated(data: &Dataset, asked: Asked, console: &Console) -> Result<Normalisation> {
    let Asked {
        scale,
        recorded: [mean, std],
        ..
    } = asked;
    // What is recorded replaces all that is stated.
    if let (Some(mean), Some(std)) = (&mean, &std) {
        return Ok(Normalisation {
            mean: mean.clone(),
            std: std.clone(),
            source: NormalisationSource::Stated,
        });
    }
    let map = data.reading.map.as_ref();
    let own = Scaling::from(&data.normalisation);
    let scaling = scale.scaling(&own, map, data.train.shape()[0]);
    let scaling = scaling.map_err(|error| of_scale(&data.name, &error))?;
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

/// Notes how `data` was read, where that is not as `stated`.
pub(super) fn note(data: &Dataset, stated: &Reading, console: &Console) {
    let (name, reading) = (&data.name, &data.reading);
    // What a run or a container records was noted when it was made.
    if stated.map.is_none() {
        note_doubts(data, stated, console);
    }
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
        let which = match reading.has_classes() {
            true => "the same share of each class, always the same ones",
            false => "always the same ones",
        };
        console.note(&format!(
            "{name} has no test part: {} of its {} samples are held out for testing, {which}",
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

/// Notes what in the files of `data` was left out, or may not be meant as it was read.
fn note_doubts(data: &Dataset, stated: &Reading, console: &Console) {
    let name = &data.name;
    for Note { text, column } in &data.notes {
        console.note(&match column {
            Some(column) => format!("{text} (--drop {})", quoted(column)),
            None => text.clone(),
        });
    }
    let is_own = data.normalisation.source == NormalisationSource::Computed;
    let samples = |split: &Split| split.class_counts(1)[0];
    let is_empty = samples(&data.train) + samples(&data.test) == 0;
    if is_own && is_empty && stated.class_names.is_empty() {
        console.note(&format!(
            "warning: {name}: no sample has the label 0, so labels up to {} give {} classes, one of them empty: number them from 0 to save an output",
            data.classes - 1,
            data.classes
        ));
    }
    let [channels, height, width] = data.train.shape();
    let is_series = channels == 1 && (2..=FEW_CHANNELS).contains(&width) && height >= 4 * width;
    let is_array = Tables::of(Path::new(name)).is_ok_and(|tables| tables.is_some());
    if is_series && is_array && stated.shape.is_none() {
        console.note(&format!(
            "{name}: samples are read as 1 x {height} x {width} (channels, height, width); if the {width} are channels, state the shape (--shape {width}x1x{height})"
        ));
    }
}
