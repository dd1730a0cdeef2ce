//! The network that an export or an evaluation in floats reads: of a finished run, or given by its
//! architecture and weights.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::bar::Bar;
use super::console::Console;
use super::network::{self, MaskSource, Named};
use super::reading::Asked;
use super::{labels, reading, run_data, scale, usage};
use crate::data::Dataset;
use crate::deploy::emit::Language;
use crate::deploy::export::{Code, Export};
use crate::deploy::{DeployError, ExportReport, FinishedRun, Options, Trained};

/// A network to export or to evaluate.
#[derive(Debug)]
pub(super) enum Deployable {
    /// Of a run.
    Run(Box<FinishedRun>),
    /// Without a run.
    Alone(Box<Alone>),
}

/// A network without a run.
#[derive(Debug)]
pub(super) struct Alone {
    /// The network.
    pub(super) trained: Trained,
    /// The dataset to calibrate and test on.
    pub(super) data: Dataset,
    /// The accuracy on its test images in floats, 0 to 1; NaN if they have no labels.
    pub(super) accuracy: f64,
}

/// What the command line says about the network and its data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    /// The folder of a run or of a network.
    pub(super) folder: Option<&'a Path>,
    /// `--arch`.
    pub(super) arch: Option<&'a str>,
    /// The file of `--weights`.
    pub(super) weights: Option<&'a Path>,
    /// `--masks`.
    pub(super) masks: Option<&'a MaskSource>,
    /// `--data`.
    pub(super) data: Option<&'a str>,
    /// What its files leave open.
    pub(super) reading: &'a reading::Options,
    /// The normalisation of inputs.
    pub(super) scale: &'a scale::Options,
    /// `--labels`.
    pub(super) labels: Option<&'a str>,
}

impl Given<'_> {
    /// Returns the network that is named; `None` if it is that of a run.
    ///
    /// # Errors
    /// Returns an error if it is named twice, or not at all.
    fn network(&self) -> Result<Option<Named<'_>>> {
        let (weights, masks) = (self.weights, self.masks);
        let named = |arch, weights| {
            Ok(Some(Named {
                arch,
                weights,
                masks,
            }))
        };
        match (self.folder, self.arch) {
            (Some(_), Some(_)) => Err(usage::wrong(
                "--arch names another network than the folder: leave one of them out",
            )),
            (None, Some(arch)) => named(arch, weights),
            (None, None) => Err(usage::wrong(
                "no network is named: give the folder of a run, or --arch and --weights",
            )),
            (Some(folder), None) if !folder.exists() => Err(anyhow!(
                "there is no folder {}: give one made by `rarefy train` or `rarefy import`",
                folder.display()
            )),
            (Some(folder), None) => match (network::is_network(folder), weights) {
                (_, Some(_)) => Err(usage::wrong(format!(
                    "{} has weights of its own: leave --weights out, or give --arch instead of the folder",
                    folder.display()
                ))),
                (true, None) => named(Named::of_folder(folder)?.arch, None),
                (false, None) => Ok(None),
            },
        }
    }
}

impl Deployable {
    /// Opens the network that is `given`. Notes the accuracy of one without a run.
    pub(super) fn open(given: Given<'_>, console: &Console) -> Result<Self> {
        let Some(named) = given.network()? else {
            let folder = given.folder.unwrap_or(Path::new(""));
            let masks = given.masks.map(|_| "--masks");
            let option = given.scale.given().or(given.reading.given()).or(masks);
            return match option {
                None => Ok(Self::Run(Box::new(FinishedRun::open(folder)?))),
                Some(option) => Err(usage::wrong(format!(
                    "{option} is recorded in the run {}: leave it out",
                    folder.display()
                ))),
            };
        };
        let Some(name) = given.data else {
            return Err(usage::wrong(format!(
                "{} is a network without a run: name the dataset to calibrate and test it on (--data)",
                named.arch
            )));
        };
        let network = named.load()?;
        let asked = Asked {
            scale: given.scale.scale().or(&named.input_scale()?),
            is_foreign: true,
            ..Asked::default()
        };
        let is_stated = asked.is_stated();
        let mut data = reading::load_as(name, &given.reading.reading(), asked, console)?;
        given.reading.note_unused(&data, console);
        if !is_stated {
            reading::note_assumed(&network.shown(), &data, console);
        }
        let (trained, accuracy) = network.evaluated(&data, console)?;
        name_classes(&mut data, given.labels, &trained)?;
        Ok(Self::Alone(Box::new(Alone {
            trained,
            data,
            accuracy,
        })))
    }

    /// Returns the name of the dataset: the one `given` with `--data`, or else that of the
    /// network.
    pub(super) fn data_name(&self, given: Option<&str>) -> String {
        match (given, self) {
            (Some(given), _) => given.into(),
            (None, Self::Run(run)) => run.recipe.data_source(),
            (None, Self::Alone(alone)) => alone.data.name.clone(),
        }
    }

    /// Exports to the container file `path` if `accept` accepts its bytes, for the board called
    /// `board`, if any.
    pub(super) fn container(
        &self,
        (given, board): (&Given<'_>, Option<&str>),
        options: &Options,
        path: &Path,
        accept: &mut dyn FnMut(&[u8]) -> Result<(), String>,
        console: &Console,
    ) -> Result<ExportReport> {
        match self {
            Self::Run(run) => {
                let mut data = run_data::load(run, given.data, console)?;
                name_classes(&mut data, given.labels, run.trained())?;
                let spinner = exporting(path, console);
                let accept = &mut aside(&spinner, accept);
                let exported = run.export_if(board, &data, options, path, accept);
                exported.map_err(|error| run_data::of_data(error, given.data))
            }
            Self::Alone(alone) => {
                let export = Export {
                    board,
                    ..alone.export(options)
                };
                let spinner = exporting(path, console);
                Ok(export.container_if(path, &mut aside(&spinner, accept))?)
            }
        }
    }

    /// Exports to code in a language, in the file `path`.
    pub(super) fn code(
        &self,
        given: &Given<'_>,
        options: &Options,
        (language, path): (Language, &Path),
        console: &Console,
    ) -> Result<Code> {
        let found: Result<Code, DeployError> = match self {
            Self::Run(run) => {
                let mut data = run_data::load(run, given.data, console)?;
                name_classes(&mut data, given.labels, run.trained())?;
                let _spinner = exporting(path, console);
                run.export_code(language, &data, options, path)
            }
            Self::Alone(alone) => {
                let _spinner = exporting(path, console);
                let name = alone.trained.graph().name();
                alone.export(options).code(language, name, path)
            }
        };
        found.map_err(|error| run_data::of_data(error, given.data))
    }
}

/// Names the classes of `data` as `labels`, the value of --labels, says, if it is given, for the
/// network `trained`.
fn name_classes(data: &mut Dataset, labels: Option<&str>, trained: &Trained) -> Result<()> {
    if let Some(labels) = labels {
        data.class_names = labels::read(labels, trained.graph().classes())?;
    }
    Ok(())
}

/// Shows that the file `path` is being made, on a terminal.
fn exporting(path: &Path, console: &Console) -> Bar {
    let spinner = console.spinner();
    spinner.message(&format!("exporting {}", path.display()));
    spinner
}

/// Returns `accept`, which may show progress of its own, with the `spinner` hidden.
fn aside<'a>(
    spinner: &'a Bar,
    accept: &'a mut dyn FnMut(&[u8]) -> Result<(), String>,
) -> impl FnMut(&[u8]) -> Result<(), String> + 'a {
    move |bytes| {
        let mut accepted = Ok(());
        spinner.aside(|| accepted = accept(bytes));
        accepted
    }
}

impl Alone {
    /// Returns the export of the network.
    fn export(&self, options: &Options) -> Export<'_> {
        Export {
            accuracy: Some(self.accuracy),
            ..Export::new(&self.trained, &self.data, *options)
        }
    }
}
