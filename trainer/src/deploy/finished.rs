//! A finished run: a run folder as the source of a [`Trained`] network.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::costs::Core;
use super::emit::Language;
use super::export::{Code, Export, ExportReport, Options};
use super::variants::{Setting, Variants};
use super::{DeployError, Trained};
use crate::data::Dataset;
use crate::network::State;
use crate::network::state::StateError;
use crate::pruning::Masks;
use crate::training::Recipe;
use crate::training::folder::{MASKS, RunFolder, TrainReport, WEIGHTS};

/// A finished run: the network that it trained, and how.
#[derive(Debug)]
pub struct FinishedRun {
    /// The recipe that the run followed.
    pub recipe: Recipe,
    /// The figures of the run.
    pub report: TrainReport,
    trained: Trained,
}

impl FinishedRun {
    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// Returns an error if there is no run, if it is not finished, or if its files do not belong
    /// together.
    pub fn open(folder: &Path) -> Result<Self, DeployError> {
        let (folder, recipe) = RunFolder::existing(folder)?;
        let Some(report) = folder.result(&recipe)? else {
            return Err(DeployError::Run(folder.unfinished()));
        };
        let graph = folder.architecture(&recipe)?;
        let path = folder.file(WEIGHTS);
        let (state, _) = State::load(&path).map_err(DeployError::Weights)?;
        let masks = Masks::load(&graph, &folder.file(MASKS))?;
        let trained =
            Trained::new(graph, state, masks, recipe.scaling()).map_err(|error| match error {
                DeployError::Trained(reason) => DeployError::Weights(StateError::Tensor {
                    path: path.display().to_string(),
                    reason,
                }),
                error => error,
            })?;
        Ok(Self {
            recipe,
            report,
            trained,
        })
    }

    /// Returns the network that the run trained.
    #[must_use]
    pub fn trained(&self) -> &Trained {
        &self.trained
    }

    /// Exports to the container file `path`, and writes its companion beside it; see
    /// [`Export::container`].
    ///
    /// # Errors
    /// Returns an error if `data` is not the dataset that the run was trained on, or if
    /// [`Export::container`] does.
    pub fn export(
        &self,
        data: &Dataset,
        options: &Options,
        path: &Path,
    ) -> Result<ExportReport, DeployError> {
        self.export_for(None, data, options, path)
    }

    /// Exports as [`FinishedRun::export`] does, for the board called `board`, if any.
    ///
    /// # Errors
    /// Returns the errors of [`FinishedRun::export`].
    pub fn export_for(
        &self,
        board: Option<&str>,
        data: &Dataset,
        options: &Options,
        path: &Path,
    ) -> Result<ExportReport, DeployError> {
        self.export_if(board, data, options, path, &mut |_| Ok(()))
    }

    /// Exports as [`FinishedRun::export_for`] does, if `accept` accepts the container's bytes.
    ///
    /// # Errors
    /// Returns the errors of [`FinishedRun::export`], and [`DeployError::NotAccepted`] with the
    /// reason that `accept` returns.
    pub fn export_if(
        &self,
        board: Option<&str>,
        data: &Dataset,
        options: &Options,
        path: &Path,
        accept: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<ExportReport, DeployError> {
        let export = Export {
            board,
            ..self.on(data, options)?
        };
        export.container_if(path, accept)
    }

    /// Exports to code in the file `path`; see [`Export::code`].
    ///
    /// # Errors
    /// Returns an error if `data` is not the dataset that the run was trained on, or if
    /// [`Export::code`] does.
    pub fn export_code(
        &self,
        language: Language,
        data: &Dataset,
        options: &Options,
        path: &Path,
    ) -> Result<Code, DeployError> {
        self.on(data, options)?
            .code(language, &self.report.run, path)
    }

    /// Exports the run with each of `settings`, for a core and, if given, the board of that name,
    /// and returns every distinct container with its accuracy; see [`Export::variants`].
    ///
    /// # Errors
    /// Returns an error if `data` is not the dataset that the run was trained on, or if
    /// [`Export::variants`] does.
    pub fn variants(
        &self,
        data: &Dataset,
        (board, core): (Option<&str>, Core),
        settings: &[Setting],
        stop: &AtomicBool,
        progress: &mut dyn FnMut(Setting),
    ) -> Result<Option<Variants>, DeployError> {
        let options = Options {
            core,
            ..Options::default()
        };
        let export = Export {
            board,
            ..self.on(data, &options)?
        };
        export.variants(settings, stop, progress)
    }

    /// Returns the export of the run on `data`, which must be the dataset that it was trained on.
    fn on<'a>(&'a self, data: &'a Dataset, options: &Options) -> Result<Export<'a>, DeployError> {
        let fingerprint = data.fingerprint();
        if fingerprint != self.recipe.data_fingerprint {
            return Err(DeployError::Mismatch(format!(
                "dataset {} is not the one that {} was trained on: its samples or labels differ",
                data.name, self.report.run
            )));
        }
        Ok(Export {
            trained: &self.trained,
            accuracy: Some(self.report.accuracy.pruned),
            data,
            fingerprint: Some(fingerprint),
            is_trained_on: true,
            board: None,
            options: *options,
        })
    }
}
