//! The container given on the command line: its file, its companion, and the data to run it on.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow};
use rarefy_format::{AlignedBytes, ByteMap, Model, Shape};

use super::boards::{self, DEFAULT_BOARD};
use super::console::Console;
use super::next::Line;
use super::table::dimensions;
use super::{reading, usage};
use crate::data::catalogue::{self, CatalogueError, Places};
use crate::data::{
    Dataset, InputMap, InputRange, Normalisation, PerChannel, Reading, Scaling, overlap,
};
use crate::deploy::companion::{self, Companion, Found, Origin};
use crate::deploy::costs::Core;
use crate::deploy::{DeployError, container};
use crate::device::{Boards, firmware_folder};
use crate::numbers::thousands;

/// Means and standard deviations of pixels count as equal if they differ by less than this
/// fraction of the standard deviation.
const SAME_NORMALISATION: f32 = 0.01;

/// The advice on data that has moved.
const MOVED: &str = "if that dataset has moved, give its new folder with --data";

/// A valid container, and the companion file that `export` wrote next to it.
pub(super) struct ModelFile {
    path: PathBuf,
    bytes: AlignedBytes,
    companion: Option<Companion>,
    /// Why the companion file is ignored, if it is.
    ignored: Option<String>,
}

/// The data that a container is run on.
pub(super) struct Chosen {
    /// The dataset.
    pub(super) data: Dataset,
    /// Whether the container was made for this dataset; `None` without a companion.
    same: Option<bool>,
}

/// How many test images a network was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// This number of the test images.
    Images(usize),
    /// Unknown.
    Unknown,
}

impl ModelFile {
    /// Reads the container `path` and its companion. If the companion is ignored, notes why.
    pub(super) fn open(path: &Path, console: &Console) -> Result<Self> {
        check_kind(path)?;
        let bytes = container::read(path)?;
        container::parse(&bytes, path)?;
        let (companion, ignored) = match Companion::find(path, &bytes) {
            Found::Companion(companion) => (Some(*companion), None),
            Found::Nothing => (None, None),
            Found::Ignored(reason) => {
                console.note(&format!(
                    "{reason}: it is ignored; export the model again to write a new one"
                ));
                (None, Some(reason))
            }
        };
        Ok(Self {
            path: path.to_path_buf(),
            bytes,
            companion,
            ignored,
        })
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the bytes of the file.
    pub(super) fn bytes(&self) -> &AlignedBytes {
        &self.bytes
    }

    /// Returns the model in the file.
    pub(super) fn model(&self) -> Result<Model<'_>> {
        Ok(container::parse(&self.bytes, &self.path)?)
    }

    /// Returns the companion, if there is one.
    pub(super) fn companion(&self) -> Option<&Companion> {
        self.companion.as_ref()
    }

    /// Loads the data to run the container on: the dataset `given` with `--data`, read as `options`
    /// say, or the one that the container was made for.
    pub(super) fn data(
        &self,
        given: Option<&str>,
        options: Option<&reading::Options>,
        console: &Console,
    ) -> Result<Chosen> {
        let shown = self.path.display();
        let reading = self.reading(given, options)?;
        let Some(origin) = self.origin() else {
            let Some(name) = given else {
                let missing = match &self.ignored {
                    Some(reason) => format!("{reason}, so it is unknown"),
                    None => format!(
                        "there is no {}, so it is unknown",
                        companion::path(&self.path).display()
                    ),
                };
                return Err(usage::wrong(format!(
                    "{missing} which data {shown} was made for: give the dataset with --data"
                )));
            };
            let data = self.load(name, &reading, options, console)?;
            self.check(&data)?;
            return Ok(Chosen { data, same: None });
        };
        let data = match given {
            Some(name) => self.load(name, &reading, options, console)?,
            None => self.made_for(origin)?,
        };
        let same = data.fingerprint() == origin.fingerprint;
        if given.is_some() || same {
            self.check(&data)?;
        }
        match (given, same) {
            (None, true) => console.note(&format!(
                "data: {}, which {shown} was made for",
                origin.name
            )),
            (None, false) => {
                return Err(anyhow!(
                    "the samples or labels of {} are not those that {shown} was exported with; {MOVED}",
                    origin.name
                ));
            }
            (Some(_), true) => {}
            (Some(_), false) => {
                if let Some(note) = apart(origin, &data) {
                    console.note(&format!("{shown} {note}"));
                }
            }
        }
        Ok(Chosen {
            data,
            same: Some(same),
        })
    }

    /// Returns how the dataset `given` with `--data` is read: as the container's own, unless
    /// `options` say otherwise.
    ///
    /// # Errors
    /// Returns an error if an option is given without a dataset, or if the range of the inputs is
    /// recorded already.
    fn reading(&self, given: Option<&str>, options: Option<&reading::Options>) -> Result<Reading> {
        let (mut reading, place) = match self.origin() {
            Some(origin) => (origin.reading.clone(), "recorded beside"),
            None => (self.stated_reading()?, "stated in"),
        };
        let Some((options, option)) = options.and_then(|it| Some((it, it.given()?))) else {
            return Ok(reading);
        };
        let shown = self.path.display();
        if given.is_none() {
            return Err(usage::wrong(format!(
                "{option} says how the dataset of --data is read, but {shown} is run on the one that it was made for: add --data, or leave {option} out"
            )));
        }
        if reading.map.is_some() && options.sets_range() {
            return Err(usage::wrong(format!(
                "--input-range is {place} {shown}, and other data are mapped in the same way: leave it out"
            )));
        }
        options.apply(&mut reading);
        Ok(reading)
    }

    /// Returns how data is read whose features become bytes by the map that the container states. A
    /// map of bytes to themselves leaves them as they are.
    fn stated_reading(&self) -> Result<Reading> {
        let units = self.model()?.units();
        let maps = units.iter().flat_map(|units| units.maps());
        let map = match maps.clone().all(|map| map == ByteMap::IDENTITY) {
            true => None,
            false => Some(InputMap::of_byte_maps(maps).map_err(Error::msg)?),
        };
        Ok(Reading {
            map,
            ..Reading::default()
        })
    }

    /// Loads the dataset `name` of `--data` as `reading` says.
    ///
    /// # Errors
    /// Returns an error if its features are not bytes and the range that the inputs stand for is
    /// unknown: that of other data would be another one.
    fn load(
        &self,
        name: &str,
        reading: &Reading,
        options: Option<&reading::Options>,
        console: &Console,
    ) -> Result<Dataset> {
        let data = catalogue::load_as(name, &Places::from_environment(), reading)?;
        let is_fixed = matches!(data.reading.input_range, Some(InputRange::Fixed(..)));
        if reading.map.is_none() && data.reading.map.is_some() && !is_fixed {
            let advice = match options {
                Some(_) => "state it with --input-range MIN:MAX, or give bytes",
                None => "give bytes",
            };
            return Err(usage::wrong(format!(
                "the features of {name} are not bytes, and it is unknown which range of them the inputs 0 to 255 of {} stand for: {advice}",
                self.path.display()
            )));
        }
        reading::note(&data, reading, console);
        if let Some(options) = options {
            options.note_unused(&data, console);
        }
        Ok(data)
    }

    /// Returns the mean and standard deviation of `pixel / 255` that the network expects, if known.
    pub(super) fn scaling(&self) -> Option<Scaling> {
        let origin = self.origin()?;
        Some(Scaling {
            mean: origin.pixel_mean.clone(),
            std: origin.pixel_std.clone(),
        })
    }

    /// Returns the data that the container was made for, if known.
    fn origin(&self) -> Option<&Origin> {
        self.companion().map(|companion| &companion.data)
    }

    /// Loads the data that the container was made for, by its name.
    fn made_for(&self, origin: &Origin) -> Result<Dataset> {
        load(origin).map_err(|error| {
            anyhow!(
                "{} was made for {}: {error}; {MOVED}",
                self.path.display(),
                origin.name
            )
        })
    }

    /// Checks that the network's inputs and outputs suit `data`.
    ///
    /// # Errors
    /// Returns an error if the image shape differs or the network has too few classes.
    fn check(&self, data: &Dataset) -> Result<()> {
        let model = self.model()?;
        let shown = self.path.display();
        let refuse = |reason: String| -> Error { DeployError::Mismatch(reason).into() };
        let images = data.test.shape();
        let Shape {
            channels,
            height,
            width,
        } = model.input();
        // A container may declare a flat input; the companion then records the image shape.
        let flat = channels == 1 && height == 1;
        let known = self.origin().map(|origin| origin.shape);
        let shape = known.unwrap_or([channels, height, width].map(usize::from));
        let same = images == shape || (flat && known.is_none());
        if !same || data.test.features() != model.inputs() {
            return Err(refuse(format!(
                "the {} of {} have {} values ({}), but {shown} takes {} inputs ({})",
                data.noun(),
                data.name,
                data.test.features(),
                dimensions(&images),
                model.inputs(),
                dimensions(&shape)
            )));
        }
        if data.has_targets() && data.classes != model.outputs() {
            return Err(refuse(format!(
                "{} has {} targets per sample, but {shown} has {} outputs",
                data.name,
                data.classes,
                model.outputs()
            )));
        }
        if data.classes > model.outputs() {
            return Err(refuse(format!(
                "{} has labels up to {}, but {shown} has {} classes",
                data.name,
                data.classes - 1,
                model.outputs()
            )));
        }
        Ok(())
    }

    /// Counts the test images that the network was trained on. Prints a note if there are any, or
    /// if their number is unknown.
    pub(super) fn seen(&self, Chosen { data, same }: &Chosen, console: &Console) -> Seen {
        let (shown, noun) = (self.path.display(), data.noun());
        let Some(origin) = self.origin().filter(|origin| !origin.only_calibrated) else {
            console.note(&format!(
                "the training {noun} of {shown} are unknown: if test {noun} are among them, others get fewer right"
            ));
            return Seen::Unknown;
        };
        let seen = match same {
            Some(true) => Seen::Images(data.repeated()),
            _ => seen_elsewhere(origin, data),
        };
        match seen {
            Seen::Images(0) => {}
            Seen::Images(count) => console.note(&format!(
                "warning: {shown} was trained on {}: {} of the {} test {noun} of {} {} training {noun}, so the accuracy on others may be lower",
                origin.name,
                thousands(count),
                thousands(data.test.len()),
                data.name,
                // Different features can become equal bytes.
                match data.reading.map {
                    None => "were",
                    Some(_) => "have the same bytes as",
                }
            )),
            Seen::Unknown => console.note(&format!(
                "warning: {shown} was trained on {}, which was not found: test {noun} of {} may be among its training {noun}",
                origin.name, data.name
            )),
        }
        seen
    }

    /// Returns the command that measures the container on the board that it was exported for, with
    /// `data` if given.
    pub(super) fn measure_line(&self, data: Option<&str>) -> Line {
        let companion = self.companion();
        let core = companion.map_or(Core::M4, |companion| companion.core);
        let board = companion
            .and_then(|companion| {
                companion
                    .board
                    .clone()
                    .filter(|name| boards::is_known(name))
            })
            .or_else(|| emulated(core))
            .unwrap_or_else(|| DEFAULT_BOARD.into());
        boards::measure_line(&self.path, &board, data)
    }
}

/// Checks that `path` has not the name of another kind of file of a network.
///
/// # Errors
/// Returns an error that says how such a file is given.
fn check_kind(path: &Path) -> Result<()> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let (kind, advice) = match ending.filter(|_| path.is_file()) {
        Some("toml") => (
            "an architecture",
            "export the network (`rarefy export --arch`), or evaluate it in floats (`rarefy eval --arch`)",
        ),
        Some("safetensors") => (
            "a file of weights",
            "give it as --weights with --arch to `rarefy export` or `rarefy eval`",
        ),
        Some("onnx") => ("a network in ONNX", "bring it in first (`rarefy import`)"),
        _ => return Ok(()),
    };
    Err(usage::wrong(format!(
        "{} is {kind}, not a container (.rfy): {advice}",
        path.display()
    )))
}

/// Loads the dataset `origin` as it was read when the container was made.
fn load(origin: &Origin) -> Result<Dataset, CatalogueError> {
    catalogue::load_as(&origin.name, &Places::from_environment(), &origin.reading)
}

/// Counts the test images of `data` that are training images of `origin`, another dataset.
fn seen_elsewhere(origin: &Origin, data: &Dataset) -> Seen {
    let trained = load(origin);
    match trained {
        Ok(trained) if trained.fingerprint() == origin.fingerprint => {
            Seen::Images(overlap::count(&data.test, &trained.train))
        }
        _ if catalogue::part_of(&data.name) == Some(origin.name.as_str()) => {
            Seen::Images(data.test.len())
        }
        _ => Seen::Unknown,
    }
}

/// Describes why accuracy on `data`, a dataset other than `origin`, may not be comparable, if
/// there is a reason.
fn apart(origin: &Origin, data: &Dataset) -> Option<String> {
    let Normalisation { mean, std, .. } = &data.normalisation;
    let (trained_mean, trained_std) = (&origin.pixel_mean, &origin.pixel_std);
    let differs = |channel: usize| {
        let apart = |a: &PerChannel, b: &PerChannel| (a.get(channel) - b.get(channel)).abs();
        let difference = apart(mean, trained_mean).max(apart(std, trained_std));
        difference > SAME_NORMALISATION * trained_std.get(channel)
    };
    let mut notes = Vec::new();
    if (0..origin.shape[0]).any(differs) {
        notes.push(format!(
            "expects inputs of mean {trained_mean:.4} and standard deviation {trained_std:.4}, but {} has {mean:.4} and {std:.4}",
            data.name
        ));
    }
    if data.classes < origin.classes {
        notes.push(format!(
            "has {} classes, but {} has {}",
            origin.classes, data.name, data.classes
        ));
    }
    let named = !notes.is_empty();
    named.then(|| {
        format!(
            "was made for {}, not for {}: it {}",
            origin.name,
            data.name,
            notes.join("; it ")
        )
    })
}

/// Returns the name of the first emulated board with this core.
fn emulated(core: Core) -> Option<String> {
    let boards = Boards::discover(&firmware_folder().ok()?).ok()?;
    let board = boards
        .iter()
        .find(|board| board.emulated() && Core::of_target(&board.target) == core)?;
    Some(board.name.clone())
}
