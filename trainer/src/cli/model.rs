//! A container from the command line: its file, what is known of it, the data to run it on.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result, anyhow};
use rarefy_format::{AlignedBytes, Model, Shape};

use super::boards::{self, DEFAULT_BOARD};
use super::console::Console;
use super::next::Line;
use super::table::thousands;
use super::usage;
use crate::data::catalogue::{self, Places};
use crate::data::{Dataset, Normalisation, overlap};
use crate::deploy::companion::{self, Companion, Found, Origin};
use crate::deploy::costs::Core;
use crate::deploy::{DeployError, container};
use crate::device::{Boards, firmware_folder};

/// Means and deviations of pixels that differ by less than this share of a deviation are the same.
const SAME_NORMALISATION: f32 = 0.01;

/// What to do about data that is not where it was.
const ELSEWHERE: &str = "if the data it was made for is elsewhere now, give it with --data";

/// A container that has been read and is valid.
pub(super) struct ModelFile {
    path: PathBuf,
    bytes: AlignedBytes,
    companion: Option<Companion>,
    /// Why what lies beside it is not its companion, if something does.
    ignored: Option<String>,
}

/// The data that a container is run on.
pub(super) struct Chosen {
    /// The data.
    pub(super) data: Dataset,
    /// Whether the container was made for it; not known without a companion.
    same: Option<bool>,
}

/// Images that a network was trained on and is tested on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// So many of the test images.
    Images(usize),
    /// Nobody can tell.
    Unknown,
}

impl ModelFile {
    /// Reads the container `path` and what lies beside it; says why that is ignored, if it is.
    pub(super) fn open(path: &Path, console: &Console) -> Result<Self> {
        let bytes = container::read(path)?;
        container::parse(&bytes, path)?;
        let (companion, ignored) = match Companion::find(path, &bytes) {
            Found::Companion(companion) => (Some(*companion), None),
            Found::Nothing => (None, None),
            Found::Ignored(reason) => {
                console.note(&format!(
                    "{reason}: ignored; export the model again to have one"
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

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &AlignedBytes {
        &self.bytes
    }

    /// The model in it.
    pub(super) fn model(&self) -> Result<Model<'_>> {
        Ok(container::parse(&self.bytes, &self.path)?)
    }

    /// What is known of it.
    pub(super) fn companion(&self) -> Option<&Companion> {
        self.companion.as_ref()
    }

    /// The data to run it on: what was `given` after `--data`, else what it was made for.
    pub(super) fn data(&self, given: Option<&str>, console: &Console) -> Result<Chosen> {
        let shown = self.path.display();
        let Some(origin) = self.origin() else {
            let Some(name) = given else {
                let missing = match &self.ignored {
                    Some(reason) => format!("{reason}, so nothing tells"),
                    None => format!(
                        "there is no {} to tell",
                        companion::path(&self.path).display()
                    ),
                };
                return Err(usage::wrong(format!(
                    "{missing} which data {shown} was made for: give it with --data"
                )));
            };
            let data = catalogue::load(name, &Places::from_environment())?;
            self.check(&data)?;
            return Ok(Chosen { data, same: None });
        };
        let data = match given {
            Some(name) => catalogue::load(name, &Places::from_environment())?,
            None => self.made_for(origin)?,
        };
        self.check(&data)?;
        let same = data.fingerprint() == origin.fingerprint;
        match (given, same) {
            (None, true) => console.note(&format!(
                "data: {}, which {shown} was made for",
                origin.name
            )),
            (None, false) => {
                return Err(anyhow!(
                    "{} holds other images or labels than when {shown} was made from it: {ELSEWHERE}",
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

    /// What it was made for, where that is known.
    fn origin(&self) -> Option<&Origin> {
        self.companion().map(|companion| &companion.data)
    }

    /// The data of the name under which the container was made.
    fn made_for(&self, origin: &Origin) -> Result<Dataset> {
        catalogue::load(&origin.name, &Places::from_environment()).map_err(|error| {
            anyhow!(
                "{} was made for {}: {error}; {ELSEWHERE}",
                self.path.display(),
                origin.name
            )
        })
    }

    /// Checks that the network can be right about `data`.
    fn check(&self, data: &Dataset) -> Result<()> {
        let model = self.model()?;
        let shown = self.path.display();
        let advice = "give the data it was made for with --data";
        let refuse = |reason: String| -> Error { DeployError::Mismatch(reason).into() };
        let images = data.test.shape();
        let Shape {
            channels,
            height,
            width,
        } = model.input();
        // A container may state its input as a row of values; its companion then knows better.
        let flat = channels == 1 && height == 1;
        let known = self.origin().map(|origin| origin.shape);
        let shape = known.unwrap_or([channels, height, width].map(usize::from));
        let same = images == shape || (flat && known.is_none());
        if !same || data.test.features() != model.inputs() {
            return Err(refuse(format!(
                "the images of {} have {} pixels ({}), but {shown} takes {} inputs ({}): {advice}",
                data.name,
                data.test.features(),
                dimensions(images),
                model.inputs(),
                dimensions(shape)
            )));
        }
        if data.classes > model.outputs() {
            return Err(refuse(format!(
                "{} has labels up to {}, but {shown} tells {} classes apart: {advice}",
                data.name,
                data.classes - 1,
                model.outputs()
            )));
        }
        Ok(())
    }

    /// How many test images of `data` the network was trained on; says so where it is any, or not
    /// known.
    pub(super) fn seen(&self, Chosen { data, same }: &Chosen, console: &Console) -> Seen {
        let shown = self.path.display();
        let Some(origin) = self.origin() else {
            console.note(&format!(
                "which images {shown} was trained on is not known: if some of these are among them, this score is too good"
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
                "warning: {shown} was trained on {}: {} of the {} test images of {} are among its training images, and the score is too good by what it remembers of them",
                origin.name,
                thousands(count),
                thousands(data.test.len()),
                data.name
            )),
            Seen::Unknown => console.note(&format!(
                "warning: {shown} was trained on {}, which is not here: whether test images of {} are among its training images is not known",
                origin.name, data.name
            )),
        }
        seen
    }

    /// The line that measures it, on the board it was exported for, with `data` where that was given.
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

/// How many test images of `data` are among the training images of `origin`, another set.
fn seen_elsewhere(origin: &Origin, data: &Dataset) -> Seen {
    let trained = catalogue::load(&origin.name, &Places::from_environment());
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

/// What may make scores on `data`, another set than `origin`, mean something else, if anything.
fn apart(origin: &Origin, data: &Dataset) -> Option<String> {
    let Normalisation { mean, std, .. } = data.normalisation;
    let (trained_mean, trained_std) = (origin.pixel_mean, origin.pixel_std);
    let difference = (mean - trained_mean).abs().max((std - trained_std).abs());
    let mut notes = Vec::new();
    if difference > SAME_NORMALISATION * trained_std {
        notes.push(format!(
            "expects pixels of mean {trained_mean:.4} and deviation {trained_std:.4}, those of {} have {mean:.4} and {std:.4}",
            data.name
        ));
    }
    if data.classes < origin.classes {
        notes.push(format!(
            "tells {} classes apart, {} has {}",
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

/// The first emulated board with this core.
fn emulated(core: Core) -> Option<String> {
    let boards = Boards::discover(&firmware_folder().ok()?).ok()?;
    let board = boards
        .iter()
        .find(|board| board.emulated() && Core::of_target(&board.target) == core)?;
    Some(board.name.clone())
}

/// "1 x 28 x 28".
fn dimensions(shape: [usize; 3]) -> String {
    shape.map(|length| length.to_string()).join(" x ")
}
