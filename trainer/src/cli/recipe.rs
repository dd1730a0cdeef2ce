//! The options of a recipe: a file, and options that override it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Error, Result};
use candle_core::Device;
use clap::Args;

use super::accelerator::DeviceChoice;
use super::console::Console;
use super::hyperparameters::HyperparameterOptions;
use super::network::{self, MaskSource};
use super::reading::Asked;
use super::{blame, reading, scale, threads, usage};
use crate::data::catalogue::Published;
use crate::data::{Dataset, PerChannel, digits};
use crate::graph::{self, Graph};
use crate::pruning::{Compression, Loss, Pattern, Place, Pruner, Target};
use crate::training::hyperparameters::LossKind;
use crate::training::recipe::{Method, Omitted, Phase};
use crate::training::{After, Existing, Plan, Recipe, RecipeFile, run};

/// The options of a recipe, shared by `train` and `quickstart`. Those that are not given have the
/// values of the recipe file, or else the defaults.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Recipe file, such as the run.toml of a run; other options override it
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Architecture: a name listed by `rarefy arch`, a TOML file, or a folder with an arch.toml as
    /// `rarefy import` writes it [default: lenet-300-100]
    #[arg(long)]
    arch: Option<String>,
    /// Dataset: a name listed by `rarefy data list`; a folder of IDX files, of CIFAR's .bin files,
    /// of .npy files, or of pictures in a folder per class; or a .npz, .safetensors or .csv file
    /// [default: digits]
    #[arg(long)]
    data: Option<String>,
    #[command(flatten)]
    reading: reading::Options,
    #[command(flatten)]
    phases: PhaseOptions,
    /// Seed of all random numbers [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    hyperparameters: HyperparameterOptions,
    /// Safetensors file of a trained network, with the tensors listed by `rarefy arch`, or a folder
    /// with a weights.safetensors; replaces dense training. With --after finetune it must include
    /// biases and batch norms; running_mean and running_var are optional and computed from the
    /// training images if missing
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Masks to train under: a safetensors file as `rarefy prune` writes it, or zeros to prune
    /// those of the given weights that are zero. Given weights are fine-tuned; only a pruner that
    /// is named prunes further
    #[arg(long, value_name = "FILE|zeros")]
    masks: Option<MaskSource>,
    #[command(flatten)]
    scale: scale::Options,
    /// Device to train on: auto (a GPU if this program can use one), cpu, cuda, cuda:N or metal
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// Minutes between two checkpoints in the middle of an epoch, from which an interrupted run
    /// resumes; does not affect results
    #[arg(long, value_name = "MINUTES", default_value = "10", value_parser = minutes)]
    checkpoint_minutes: Duration,
    #[command(flatten)]
    threads: threads::Options,
}

/// The options that determine the phases.
#[derive(Debug, Args)]
struct PhaseOptions {
    #[arg(long, help = format!("Pruner: {} [default: magnitude/igq]", Pruner::names().join(", ")))]
    pruner: Option<String>,
    /// Compression ratio: total weights / remaining weights [default: 100]
    #[arg(long)]
    compression: Option<f64>,
    /// Which weights the ratio counts as remaining [default: effective]
    #[arg(long = "type", value_enum)]
    target: Option<Target>,
    /// Keep N of every M inputs of each output, such as 2:4, in place of a compression
    #[arg(long, value_name = "N:M", conflicts_with = "compression")]
    pattern: Option<Pattern>,
    /// Layers that are kept dense
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PLACES")]
    keep_dense: Vec<Place>,
    /// Epochs per phase: the dense network (if the pruner needs it trained) and the pruned network
    /// [default: 20]
    #[arg(long)]
    epochs: Option<usize>,
    /// Weights that training of the pruned network starts from [default: rewind]
    #[arg(long, value_enum)]
    after: Option<After>,
    /// Step of the first training phase to which --after rewind goes back [default: 0]
    #[arg(long, value_name = "STEP")]
    rewind_to: Option<usize>,
    /// Rounds of pruning and training, each multiplying the compression by the same factor
    /// [default: 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// Prune while training, along a cubic schedule of the connected weights
    #[arg(long)]
    gradual: bool,
    /// Dynamic sparse training: drop and regrow connections while the pruned network trains
    #[arg(long, value_enum, value_name = "METHOD")]
    regrow: Option<Method>,
    /// Loss: mse trains on targets that are numbers (--targets); reference changes only the
    /// gradients that snip computes [default: cross-entropy]
    #[arg(long, value_enum)]
    loss: Option<Loss>,
}

/// The largest number of minutes between two checkpoints: a year.
const MOST_MINUTES: f64 = 525_600.0;

/// Parses a number of minutes above 0.
fn minutes(text: &str) -> Result<Duration, String> {
    let minutes = text.parse::<f64>().ok();
    let minutes = minutes.filter(|minutes| *minutes <= MOST_MINUTES);
    let time = minutes.and_then(|minutes| Duration::try_from_secs_f64(60.0 * minutes).ok());
    time.filter(|time| !time.is_zero()).ok_or_else(|| {
        format!("give a number of minutes above 0 and at most {MOST_MINUTES}, a year")
    })
}

impl PhaseOptions {
    /// Returns the compression, if it is given.
    fn compression(&self) -> Result<Option<Compression>> {
        Ok(self.compression.map(Compression::new).transpose()?)
    }

    /// Returns the loss whose gradients snip computes, if it is not the one that is trained.
    fn loss_of_snip(&self) -> Option<Loss> {
        self.loss.filter(|loss| *loss != Loss::Mse)
    }

    /// Returns the loss that is trained, if it is given.
    fn loss(&self) -> Option<LossKind> {
        self.loss.map(|loss| match loss {
            Loss::Mse => LossKind::Mse,
            Loss::CrossEntropy | Loss::Reference => LossKind::CrossEntropy,
        })
    }

    /// Checks whether an option gives the value of `field` of a phase.
    fn gives(&self, field: &str) -> bool {
        match field {
            "pruner" => self.pruner.is_some(),
            "compression" => self.compression.is_some(),
            "pattern" => self.pattern.is_some(),
            "epochs" => self.epochs.is_some(),
            _ => false,
        }
    }

    /// Returns the list of phases that these options describe.
    fn plan(&self, has_weights: bool, has_masks: bool) -> Result<Vec<Phase>> {
        let default = Plan::default();
        let compression = self.compression()?;
        if has_masks && self.pruner.is_none() {
            return self.plan_under_masks(has_weights);
        }
        let plan = Plan {
            pruner: self.pruner.clone().unwrap_or(default.pruner),
            target: self.target.unwrap_or(default.target),
            compression: compression.unwrap_or(default.compression),
            pattern: self.pattern,
            dense: self.keep_dense.clone(),
            epochs: self.epochs.unwrap_or(default.epochs),
            after: self.after.unwrap_or(default.after),
            loss: self.loss_of_snip().unwrap_or(default.loss),
            rounds: self.rounds.unwrap_or(default.rounds),
            rewind_to: self.rewind_to.unwrap_or(default.rewind_to),
            gradual: self.gradual,
            regrow: self.regrow,
            has_weights,
        };
        if Pruner::by_name(&plan.pruner)?.is_dense() {
            let unused = [
                ("--pattern", self.pattern.is_some()),
                ("--keep-dense", !self.keep_dense.is_empty()),
                ("--rounds", self.rounds.is_some()),
                ("--rewind-to", self.rewind_to.is_some()),
                ("--gradual", self.gradual),
                ("--regrow", self.regrow.is_some()),
            ];
            if let Some((option, _)) = unused.iter().find(|(_, given)| *given) {
                return Err(usage::wrong(format!(
                    "{option} has no effect with --pruner dense, which prunes nothing: leave it out, or choose another pruner"
                )));
            }
        }
        Ok(plan.phases()?)
    }

    /// Returns the list of phases that train under given masks, without pruning further.
    fn plan_under_masks(&self, has_weights: bool) -> Result<Vec<Phase>> {
        let prunes = [
            ("--compression", self.compression.is_some()),
            ("--type", self.target.is_some()),
            ("--pattern", self.pattern.is_some()),
            ("--keep-dense", !self.keep_dense.is_empty()),
            ("--rounds", self.rounds.is_some()),
            ("--rewind-to", self.rewind_to.is_some()),
            ("--gradual", self.gradual),
            ("--loss", self.loss_of_snip().is_some()),
        ];
        if let Some((option, _)) = prunes.iter().find(|(_, given)| *given) {
            return Err(usage::wrong(format!(
                "{option} has no effect under given masks unless they are pruned further: leave it out, or add --pruner"
            )));
        }
        let default = Plan::default();
        let after = match has_weights {
            true => After::Finetune,
            false => After::Rewind,
        };
        let plan = Plan {
            pruner: "dense".into(),
            epochs: self.epochs.unwrap_or(default.epochs),
            after: self.after.unwrap_or(after),
            regrow: self.regrow,
            has_weights,
            ..default
        };
        Ok(plan.phases()?)
    }

    /// Overrides the `phases` of a recipe file.
    fn apply(&self, phases: &mut Vec<Phase>, has_weights: bool) -> Result<()> {
        let lists = [
            ("--rounds", self.rounds.is_some()),
            ("--rewind-to", self.rewind_to.is_some()),
            ("--after", self.after.is_some()),
            ("--gradual", self.gradual),
            ("--regrow", self.regrow.is_some()),
        ];
        if let Some((option, _)) = lists.iter().find(|(_, given)| *given) {
            return Err(usage::wrong(format!(
                "{option} determines the list of phases, but the recipe file already has one: leave the option out, or change the file"
            )));
        }
        if has_weights {
            let start = phases.iter().position(Phase::makes_masks).unwrap_or(0);
            phases.drain(..start);
        }
        let prunes = |phase: &&Phase| matches!(phase, Phase::Prune(_) | Phase::Gradual(_));
        let makers = phases.iter().filter(prunes).count();
        if makers != 1 && (self.compression.is_some() || self.pattern.is_some()) {
            return Err(usage::wrong(format!(
                "--compression and --pattern need a recipe file with exactly one pruning phase, but this one has {makers}: change the file"
            )));
        }
        let compression = self.compression()?;
        for phase in phases {
            if let (Some(training), Some(epochs)) = (phase.training_mut(), self.epochs) {
                training.epochs = epochs;
            }
            match phase {
                Phase::Prune(prune) => {
                    prune.pruner = self.pruner.clone().unwrap_or(prune.pruner.clone());
                    prune.target = self.target.unwrap_or(prune.target);
                    if compression.is_some() || self.pattern.is_some() {
                        (prune.compression, prune.pattern) = (compression, self.pattern);
                    }
                    if !self.keep_dense.is_empty() {
                        prune.dense.clone_from(&self.keep_dense);
                    }
                    prune.loss = self.loss_of_snip().unwrap_or(prune.loss);
                }
                Phase::Gradual(gradual) => {
                    gradual.pruner = self.pruner.clone().unwrap_or(gradual.pruner.clone());
                    gradual.target = self.target.unwrap_or(gradual.target);
                    gradual.compression = compression.unwrap_or(gradual.compression);
                    if !self.keep_dense.is_empty() {
                        gradual.dense.clone_from(&self.keep_dense);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A recipe with its architecture and its dataset.
pub(super) struct Loaded {
    pub(super) recipe: Recipe,
    pub(super) graph: Graph,
    pub(super) data: Dataset,
}

impl Options {
    /// Reads the recipe file, if one is given, and overrides it with the options.
    fn file(&self) -> Result<RecipeFile> {
        let mut file = match &self.recipe {
            Some(path) => RecipeFile::load(path)?,
            None => RecipeFile::default(),
        };
        if let Some(arch) = &self.arch {
            let arch = network::arch(arch).into_owned();
            (file.arch, file.arch_fingerprint) = (Some(arch), None);
        }
        if let Some(data) = &self.data {
            (file.data, file.data_folder, file.data_fingerprint) = (Some(data.clone()), None, None);
            // The map from features to bytes and the classes are those of the dataset that is
            // replaced.
            file.reading.map = None;
            file.reading.class_names.clear();
        }
        if let Some(path) = &self.weights {
            let path = network::weights(path).display().to_string();
            (file.weights, file.weights_fingerprint) = (Some(path), None);
        }
        if let Some(masks) = &self.masks {
            let name = masks.name().display().to_string();
            (file.masks, file.masks_fingerprint) = (Some(name), None);
        }
        self.reading.apply(&mut file.reading);
        file.seed = self.seed.or(file.seed);
        file.device = Some(self.device.kind());
        self.hyperparameters.apply(&mut file.hyperparameters)?;
        let loss = self.phases.loss();
        file.hyperparameters.loss = loss.unwrap_or(file.hyperparameters.loss);
        file.hyperparameters.check()?;
        match &mut file.phases {
            Some(phases) => {
                self.phases.apply(phases, self.weights.is_some())?;
                // An option overrides the phases that have a value of their own, too.
                for training in phases.iter_mut().filter_map(Phase::training_mut) {
                    self.hyperparameters.keys().for_each(|key| {
                        training.overrides.remove(key);
                    });
                }
            }
            None => {
                let (has_weights, has_masks) = (file.weights.is_some(), file.masks.is_some());
                file.phases = Some(self.phases.plan(has_weights, has_masks)?);
            }
        }
        Ok(file)
    }

    /// Returns the recipe, and loads its architecture and its dataset. Wrong names are reported
    /// before the data is read.
    pub(super) fn load(&self, console: &Console) -> Result<Loaded> {
        self.load_as_given(console)
            .map_err(|error| self.blame(error))
    }

    /// Does what [`Options::load`] does; errors do not name the recipe file.
    fn load_as_given(&self, console: &Console) -> Result<Loaded> {
        let mut file = self.file()?;
        if let Some(path) = &self.recipe {
            self.note_omitted(&file, path, console);
        }
        if let (Some("dense"), Some(_)) = (self.phases.pruner.as_deref(), self.phases.compression) {
            console.note("--compression has no effect with --pruner dense, which prunes nothing");
        }
        let name = file.data.get_or_insert_with(|| digits::NAME.into()).clone();
        let source = match &file.data_folder {
            Some(folder) if folder.exists() => folder.display().to_string(),
            _ => name.clone(),
        };
        let arch = file.arch.as_deref().unwrap_or("lenet-300-100");
        let graph = graph::load(arch)?;
        let unless_given =
            |field: &str, values: Option<PerChannel>| values.filter(|_| !self.scale.gives(field));
        let asked = Asked {
            scale: self.scale.scale().or(&graph::input_scale(arch)?),
            recorded: [
                unless_given("pixel_mean", file.pixel_mean.take()),
                unless_given("pixel_std", file.pixel_std.take()),
            ],
            is_foreign: false,
        };
        let is_stated = asked.is_stated();
        let data = reading::load_as(&source, &file.reading, asked, console)?;
        self.reading.note_unused(&data, console);
        if let (Some(path), false) = (&file.weights, is_stated) {
            reading::note_assumed(path, &data, console);
        }
        let is_named = name == digits::NAME || Published::named(&name).is_ok();
        file.data_folder = match is_named {
            true => None,
            false => Path::new(&source).canonicalize().ok(),
        };
        let recipe = file.resolve(&graph, &data)?;
        Ok(Loaded {
            recipe,
            graph,
            data,
        })
    }

    /// Returns `error` with the recipe file, if one is given, as the place of a wrong value that no
    /// option gives.
    pub(super) fn blame(&self, error: Error) -> Error {
        let Some(path) = &self.recipe else {
            return error;
        };
        blame::file(error, path, &|field| match field {
            "weights" => self.weights.is_some(),
            field => {
                let is_of_phase = self.hyperparameters.gives(field) || self.phases.gives(field);
                is_of_phase || self.scale.gives(field)
            }
        })
    }

    /// Says which main keys the recipe file leaves out, unless options give them.
    fn note_omitted(&self, file: &RecipeFile, path: &Path, console: &Console) {
        let gives = |key: &str| match key {
            "arch" => self.arch.is_some(),
            "data" => self.data.is_some(),
            "compression" => self.phases.gives(key) || self.phases.gives("pattern"),
            key => self.phases.gives(key),
        };
        let omitted = file.omitted.iter().filter(|it| !gives(it.key));
        // Options can have determined the phases.
        let in_words = |it: &Omitted| match (it.key, &file.phases) {
            ("phase", Some(phases)) => Omitted::phases(phases).to_string(),
            _ => it.to_string(),
        };
        let omitted: Vec<String> = omitted.map(in_words).collect();
        if !omitted.is_empty() {
            console.note(&format!(
                "{} does not set all values; used by default: {}",
                path.display(),
                omitted.join("; ")
            ));
        }
    }

    /// Returns the options of a run on `device`. A run that is already in the folder is replaced
    /// if `replaces`, and resumed otherwise.
    pub(super) fn run<'a>(&self, device: &'a Device, replaces: bool) -> run::Options<'a> {
        run::Options {
            existing: match replaces {
                true => Existing::Replace,
                false => Existing::Resume,
            },
            checkpoint_every: self.checkpoint_minutes,
            ..run::Options::new(device)
        }
    }

    /// Sets the number of threads and opens the device to train on.
    pub(super) fn device(&self, console: &Console) -> Result<Device> {
        self.threads.apply(console)?;
        self.device.open(console)
    }
}
