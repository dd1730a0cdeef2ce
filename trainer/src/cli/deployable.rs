//! The network that an export reads: of a finished run, or of a folder with an architecture and
//! weights, such as `rarefy import` writes.

use std::path::Path;

use anyhow::{Result, anyhow};

use super::console::Console;
use super::{reading, run_data, usage};
use crate::data::{Dataset, PerChannel, Scaling};
use crate::deploy::export::{Code, Export};
use crate::deploy::{DeployError, ExportReport, FinishedRun, Options, Trained};
use crate::graph::{self, Operation};
use crate::pruning::{self, Masks, Weights};
use crate::training::folder::{ARCHITECTURE, RECIPE, WEIGHTS};

/// A network to export.
#[derive(Debug)]
pub(super) enum Deployable {
    /// Of a run.
    Run(Box<FinishedRun>),
    /// Without a run, with the dataset to calibrate and test on.
    Alone(Box<Trained>, Box<Dataset>),
}

/// What the command line says about the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given<'a> {
    /// `--data`.
    pub(super) data: Option<&'a str>,
    /// What its files leave open.
    pub(super) reading: &'a reading::Options,
    /// `--mean`.
    pub(super) mean: Option<&'a PerChannel>,
    /// `--std`.
    pub(super) std: Option<&'a PerChannel>,
}

impl Deployable {
    /// Opens the network in `folder`. Zero weights count as pruned if there is no run.
    pub(super) fn open(folder: &Path, given: Given<'_>, console: &Console) -> Result<Self> {
        let has = |name: &str| folder.join(name).is_file();
        if has(RECIPE) || !has(ARCHITECTURE) || !has(WEIGHTS) {
            let stated = [
                ("--mean", given.mean.is_some()),
                ("--std", given.std.is_some()),
            ];
            let stated = stated.into_iter().find(|(_, is_given)| *is_given);
            let option = stated.map(|(option, _)| option).or(given.reading.given());
            return match option {
                None => Ok(Self::Run(Box::new(FinishedRun::open(folder)?))),
                Some(option) => Err(usage::wrong(format!(
                    "{option} is recorded in the run {}: leave it out",
                    folder.display()
                ))),
            };
        }
        let Some(name) = given.data else {
            return Err(usage::wrong(format!(
                "{} holds a network without a run: name the dataset to calibrate and test it on (--data)",
                folder.display()
            )));
        };
        let scaling = (given.mean.cloned(), given.std.cloned());
        let graph = graph::load(&folder.join(ARCHITECTURE).display().to_string())?;
        let path = folder.join(WEIGHTS);
        let weights = Weights::load(&graph, &path)?;
        if let Some(missing) = weights.missing().first() {
            return Err(anyhow!(
                "{}: tensor {missing} is missing: add it, or set its layer's bias or norm to false in {ARCHITECTURE}",
                path.display()
            ));
        }
        let state = weights.state(&graph);
        let norms = graph
            .nodes()
            .iter()
            .filter(|node| node.operation == Operation::BatchNorm);
        for name in norms.map(|node| format!("{}.running_var", node.name)) {
            if !state.0.contains_key(&name) {
                return Err(anyhow!(
                    "{}: tensor {name} is missing: add the running statistics of batch norms, or train the network (`rarefy train --after finetune`)",
                    path.display()
                ));
            }
        }
        let tensors = graph.prunable();
        let masks = Masks::from_fn(&tensors, |tensor, element| {
            state.get(&tensors[tensor].name).values[element] != 0.0
        });
        let data = reading::load_as(name, &given.reading.reading(), scaling, console)?;
        pruning::source::fits(&graph, &data)?;
        let pixels = Scaling::from(&data.normalisation);
        let trained = Trained::new(graph, state, masks, pixels)?;
        Ok(Self::Alone(Box::new(trained), Box::new(data)))
    }

    /// Returns the name of the dataset: the one `given` with `--data`, or else that of the
    /// network.
    pub(super) fn data_name(&self, given: Option<&str>) -> String {
        match (given, self) {
            (Some(given), _) => given.into(),
            (None, Self::Run(run)) => run.recipe.data_source(),
            (None, Self::Alone(_, data)) => data.name.clone(),
        }
    }

    /// Exports to the container file `path` if `accept` accepts its bytes, for the board called
    /// `board`, if any.
    pub(super) fn container(
        &self,
        (given, board): (Option<&str>, Option<&str>),
        options: &Options,
        path: &Path,
        accept: &mut dyn FnMut(&[u8]) -> Result<(), String>,
        console: &Console,
    ) -> Result<ExportReport> {
        match self {
            Self::Run(run) => {
                let data = run_data::load(run, given, console)?;
                let exported = run.export_if(board, &data, options, path, accept);
                exported.map_err(|error| run_data::of_data(error, given))
            }
            Self::Alone(trained, data) => {
                let export = Export {
                    board,
                    ..Export::new(trained, data, *options)
                };
                Ok(export.container_if(path, accept)?)
            }
        }
    }

    /// Exports to Rust code in the file `path`.
    pub(super) fn code(
        &self,
        given: Option<&str>,
        options: &Options,
        path: &Path,
        console: &Console,
    ) -> Result<Code> {
        let found: Result<Code, DeployError> = match self {
            Self::Run(run) => {
                let data = run_data::load(run, given, console)?;
                run.export_code(&data, options, path)
            }
            Self::Alone(trained, data) => {
                Export::new(trained, data, *options).code(trained.graph().name(), path)
            }
        };
        found.map_err(|error| run_data::of_data(error, given))
    }
}
