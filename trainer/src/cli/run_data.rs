//! The dataset of a finished run given on the command line, and what the run can be exported to.

use std::path::Path;

use anyhow::{Error, Result, anyhow};
use serde::Serialize;

use super::console::Console;
use super::reading::Asked;
use super::{hints, interrupt, reading};
use crate::data::{Dataset, Scaling};
use crate::deploy::choose::Goal;
use crate::deploy::costs::Core;
use crate::deploy::variants::{Failure, GOALS};
use crate::deploy::{DeployError, FinishedRun, Setting, Variants};

/// Loads the dataset of `run`: the one `given` with `--data`, or the one that the run recorded.
pub(super) fn load(run: &FinishedRun, given: Option<&str>, console: &Console) -> Result<Dataset> {
    let recorded = run.recipe.data_source();
    // The pixels were normalised as the run's recipe says.
    let Scaling { mean, std } = run.recipe.scaling();
    let asked = Asked {
        recorded: [Some(mean), Some(std)],
        ..Asked::default()
    };
    let stated = &run.recipe.reading;
    reading::load_as(given.unwrap_or(&recorded), stated, asked, console).map_err(
        |error| match given {
            Some(_) => error,
            None => {
                anyhow!(
                    "{error}; if the run's dataset has moved, pass its new location with --data"
                )
            }
        },
    )
}

/// Converts `error`. A dataset that does not match is wrong usage if it was `given` with `--data`,
/// but not if it is the one that the run recorded.
pub(super) fn of_data(error: DeployError, given: Option<&str>) -> Error {
    match (&error, given) {
        (DeployError::Mismatch(_), None) => anyhow!(hints::message(&error.into())),
        _ => error.into(),
    }
}

/// A run to export in several ways.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The run folder.
    pub(super) folder: &'a Path,
    /// The dataset, if it was given with `--data`.
    pub(super) data: Option<&'a str>,
    /// The settings to export with.
    pub(super) settings: &'a [Setting],
}

/// Exports a run for a core and, if given, the board of that name, while showing a bar. Returns
/// the dataset as well.
pub(super) fn variants(
    source: Source<'_>,
    for_board: (Option<&str>, Core),
    console: &Console,
) -> Result<(Dataset, Variants)> {
    let Source {
        folder,
        data: given,
        settings,
    } = source;
    let run = FinishedRun::open(folder)?;
    let data = load(&run, given, console)?;
    console.log(&format!(
        "exporting {} in {} ways",
        folder.display(),
        settings.len()
    ));
    let bar = console.bar(settings.len() as u64);
    bar.name("exporting");
    let mut done = 0;
    let mut progress = |setting: Setting| {
        bar.message(&shown(&[setting]));
        bar.at(done);
        done += 1;
    };
    let flag = interrupt::flag();
    let found = run.variants(&data, for_board, settings, flag, &mut progress);
    drop(bar);
    match found.map_err(|error| of_data(error, given))? {
        Some(found) => Ok((data, found)),
        None => Err(interrupt::interrupted()),
    }
}

/// Formats settings, grouped by weights and then by goals: "size+speed int6/int4, any int3".
pub(super) fn shown(settings: &[Setting]) -> String {
    let mut groups: Vec<(Vec<Goal>, Vec<String>)> = Vec::new();
    for same in settings.chunk_by(|a, b| a.weights == b.weights) {
        let goals: Vec<Goal> = same.iter().map(|setting| setting.goal).collect();
        let weights = same[0].weights.name();
        match groups.last_mut() {
            Some((known, names)) if *known == goals => names.push(weights),
            _ => groups.push((goals, vec![weights])),
        }
    }
    let group = |(goals, weights): &(Vec<Goal>, Vec<String>)| {
        let names: Vec<&str> = goals.iter().map(|goal| goal.name()).collect();
        let goals = match goals.len() == GOALS.len() {
            true => "any".to_owned(),
            false => names.join("+"),
        };
        format!("{goals} {}", weights.join("/"))
    };
    groups.iter().map(group).collect::<Vec<_>>().join(", ")
}

/// Settings that give no container, as a report shows them.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    settings: Vec<Setting>,
    reason: String,
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Self {
        Self {
            settings: failure.settings.clone(),
            reason: failure.error.to_string(),
        }
    }
}

/// Formats why some settings give no container, a line each.
pub(super) fn failures(failures: &[Failure]) -> String {
    let line = |failure: &Failure| {
        let (settings, error) = (shown(&failure.settings), &failure.error);
        format!("  not exported: {settings}: {error}\n")
    };
    failures.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::quantize::WeightType;

    #[test]
    fn settings_are_grouped_by_weights() {
        let setting = |goal, bits| Setting {
            goal,
            weights: WeightType::Int(bits),
        };
        let mut settings = GOALS.map(|goal| setting(goal, 6)).to_vec();
        settings.push(setting(Goal::Size, 4));
        settings.push(setting(Goal::Speed, 4));
        assert_eq!(shown(&settings), "any int6, size+speed int4");
        settings.push(setting(Goal::Size, 3));
        settings.push(setting(Goal::Speed, 3));
        assert_eq!(shown(&settings), "any int6, size+speed int4/int3");
        assert_eq!(shown(&settings[..1]), "size int6");
    }
}
