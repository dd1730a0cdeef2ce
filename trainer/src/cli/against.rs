//! `rarefy eval --against`: how far a container's outputs are from those of the network in floats.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::console::Console;
use super::interrupt;
use super::model::ModelFile;
use super::network::{self, Named};
use crate::data::{Dataset, Normalisation, NormalisationSource};
use crate::deploy::FinishedRun;
use crate::deploy::evaluate::{self, Agreement};
use crate::graph::Graph;
use crate::network::State;
use crate::pruning::source;
use crate::training::floats;

/// The comparison of a container with a network.
#[derive(Debug, Serialize)]
pub(super) struct Against {
    /// The folder of the network.
    network: String,
    #[serde(flatten)]
    agreement: Agreement,
}

impl Against {
    /// Compares the container `file` with the network in `folder` on the test samples of `data`.
    pub(super) fn new(
        file: &ModelFile,
        folder: &Path,
        data: &Dataset,
        console: &Console,
    ) -> Result<Self> {
        let (graph, state) = network(folder)?;
        let stop = interrupt::flag();
        let data = normalised(file, folder, data)?;
        source::fits(&graph, &data)?;
        console.log(&format!("computing {} in floats", folder.display()));
        let expected = floats::outputs(&graph, &state, &data, stop);
        let expected = expected.map_err(|error| interrupt::or_interrupted(error.into()))?;
        let found = evaluate::outputs(file.model()?, &data.test, stop)?;
        let found = found.ok_or_else(interrupt::interrupted)?;
        Ok(Self {
            network: folder.display().to_string(),
            agreement: Agreement::of(&found, &expected),
        })
    }

    /// Returns the comparison in words.
    pub(super) fn text(&self) -> String {
        format!(
            "Outputs against those of {} in floats: relative mean squared error {:.3} %",
            self.network,
            100.0 * self.agreement.relative_mse
        )
    }
}

/// Reads the network in `folder`: that of a run, or one without a run.
fn network(folder: &Path) -> Result<(Graph, State)> {
    if network::is_network(folder) {
        let network = Named::of_folder(folder)?.load()?;
        let state = network.state()?;
        return Ok((network.graph, state));
    }
    let run = FinishedRun::open(folder)?;
    let trained = run.trained();
    Ok((trained.graph().clone(), trained.state().clone()))
}

/// Returns `data` with the normalisation that the container `file` was exported with, or else the
/// one that the architecture in `folder` states.
fn normalised(file: &ModelFile, folder: &Path, data: &Dataset) -> Result<Dataset> {
    let mut data = data.clone();
    let scaling = match file.scaling() {
        Some(scaling) => scaling,
        None if network::is_network(folder) => {
            let stated = Named::of_folder(folder)?.input_scale()?;
            let map = data.reading.map.as_ref();
            stated.scaling(&(&data.normalisation).into(), map, data.test.shape()[0])?
        }
        None => FinishedRun::open(folder)?.recipe.scaling(),
    };
    data.normalisation = Normalisation {
        mean: scaling.mean,
        std: scaling.std,
        source: NormalisationSource::Stated,
    };
    Ok(data)
}
