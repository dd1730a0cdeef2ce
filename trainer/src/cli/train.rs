//! `rarefy train`: trains the dense network, prunes it, and trains the pruned network.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::console::Console;
use super::next::{Line, Next, Why, free};
use super::recipe::{Loaded, Options};
use super::run_progress::RunProgress;
use super::table::{measure, quality};
use super::{hints, interrupt};
use crate::data::Dataset;
use crate::deploy::FinishedRun;
use crate::deploy::{limits, strip};
use crate::numbers::thousands;
use crate::pruning::hundredths::shown;
use crate::training::folder::TrainReport;
use crate::training::run::{self, Event};
use crate::training::{Recipe, TrainError};

#[derive(Debug, Args)]
#[command(after_help = "To resume an interrupted run, give the same command again.")]
pub(super) struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Run folder to write [default: runs/ARCH_PRUNER_COMPRESSION_DATA_SEED]
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replace an existing run in the folder. It is kept in FOLDER/replaced-run until the new one
    /// is finished, and put back if that diverges, is refused, or fails before its first checkpoint
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let Loaded {
        recipe,
        graph,
        data,
    } = arguments.options.load(console)?;
    // A warning about a layer is of no use if the data does not fit the network.
    let checked = recipe.check(&graph, &data);
    checked.map_err(|error| arguments.options.blame(error.into()))?;
    let limits = limits::before_training(&graph, &recipe.scaling());
    for reason in &limits {
        console.note(&format!("warning: as it stands, {reason}"));
    }
    let folder = arguments.out.clone().unwrap_or_else(|| {
        let pruner = recipe.pruner().replace('/', "-");
        PathBuf::from(format!(
            "runs/{}_{pruner}_{}_{}_{}",
            recipe.arch,
            in_name(&recipe),
            data.name.replace('/', "-"),
            recipe.seed
        ))
    });
    let device = arguments.options.device(console)?;
    let options = arguments.options.run(&device, arguments.force);
    let report = train(&recipe, &data, &folder, &options, console);
    let report = report.map_err(|error| arguments.options.blame(error));
    let report = report.map_err(|error| match error.downcast_ref() {
        Some(TrainError::Interrupted { .. }) if arguments.force => {
            let text = format!("{error}, without --force");
            hints::verbatim(error, text)
        }
        _ => error,
    })?;
    let next = match limits.is_empty() || is_exportable(&folder) {
        true => {
            let line = Line::new(&["export"]).path(&folder);
            line.option("-o", free("model.rfy")).into()
        }
        false => Next::Nothing(Why::Limit),
    };
    console.result(&report, || {
        let TrainReport { weights, compression, accuracy, mse, .. } = &report;
        let dense = accuracy.dense.map(|dense| quality(dense, mse.and_then(|mse| mse.dense)));
        let dense = dense.map_or(String::new(), |dense| format!(" (dense {dense})"));
        let mse = mse.map(|mse| mse.pruned);
        format!(
            "{}: {} {}{dense}; {} of {} weights connected ({:.1}x), {} kept by the mask ({:.1}x); {:.0} s",
            report.run,
            measure(mse),
            quality(accuracy.pruned, mse),
            thousands(weights.effective),
            thousands(weights.total),
            compression.effective,
            thousands(weights.direct),
            compression.direct,
            report.seconds,
        )
    }, next)
}

/// Formats the last compression or pattern of `recipe` for a folder name: a compression in full,
/// unless that takes too many digits, and a pattern such as 2:4 without its colon.
fn in_name(recipe: &Recipe) -> String {
    if let Some(pattern) = recipe.pattern() {
        return format!("{}-of-{}", pattern.kept(), pattern.group());
    }
    match recipe.compression().0 {
        large if large.get() >= 1e15 => shown(large.get()),
        compression => compression.to_string(),
    }
}

/// Returns whether the stripped network of the finished run in `folder` fits the container format.
fn is_exportable(folder: &Path) -> bool {
    let stripped =
        FinishedRun::open(folder).and_then(|run| Ok(strip::strip(&run.trained().fold()?)));
    stripped.is_ok_and(|network| limits::check(&network).is_ok())
}

/// Trains as `recipe` describes, with a progress bar.
pub(super) fn train(
    recipe: &Recipe,
    data: &Dataset,
    folder: &Path,
    options: &run::Options<'_>,
    console: &Console,
) -> Result<TrainReport> {
    let mut progress = RunProgress::new(console);
    let stop = interrupt::flag();
    let _slow = interrupt::if_slow(progress.stopping());
    let tell = &mut |event: Event<'_>| progress.tell(event);
    Ok(run::run(recipe, data, folder, options, stop, tell)?)
}
