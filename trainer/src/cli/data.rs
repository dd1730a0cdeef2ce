//! `rarefy data list` and `rarefy data fetch`.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::console::Console;
use super::interrupt;
use super::next::Line;
use super::table::{table, text, thousands};
use crate::data::catalogue::{self, Found, Listing, Places, Published};
use crate::data::{Dataset, Normalisation, NormalisationSource};
use crate::data::{digits, fetch};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the datasets that can be given after --data, and where they are
    List,
    /// Fetch a published dataset; an interrupted fetch goes on where it stopped
    Fetch {
        /// The dataset: mnist, fashion-mnist
        name: String,
        /// Put it into this folder [default: $RAREFY_DATA/NAME, else the user's cache folder]
        #[arg(long, short, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Try this address first: the files' names are added to it (may be given again)
        #[arg(long, value_name = "URL")]
        mirror: Vec<String>,
    },
}

/// What `list` prints.
#[derive(Debug, Serialize)]
struct List {
    datasets: Vec<Listing>,
}

pub(super) fn run(arguments: Arguments, console: &Console) -> Result<()> {
    let places = Places::from_environment();
    match arguments.command {
        Command::List => list(&places, console),
        Command::Fetch { name, out, mirror } => {
            let set = Published::named(&name)?;
            let folder = out.or_else(|| places.destination(set));
            let folder = folder.ok_or_else(|| {
                anyhow!("there is no place to put {name}: set RAREFY_DATA or give -o FOLDER")
            })?;
            let bar = console.bar(0);
            let fetched = fetch::fetch(
                set,
                &folder,
                &mirror,
                &mut |progress| {
                    bar.name(progress.file);
                    bar.message(&format!(
                        "file {} of {}",
                        progress.index + 1,
                        progress.files
                    ));
                    bar.length(progress.total.unwrap_or(progress.received));
                    bar.at(progress.received);
                },
                interrupt::flag(),
            )?;
            drop(bar);
            // Found by its name where that is looked for, else by its folder.
            let found = set.locate(&places);
            let by_name = found.is_ok_and(|(folder, _)| folder == fetched.folder);
            let next = train_line(&name, (!by_name).then_some(&fetched.folder));
            console.result(
                &fetched,
                || {
                    format!(
                        "{name} is in {}, every file checked",
                        fetched.folder.display()
                    )
                },
                next,
            )
        }
    }
}

/// The line that trains on the set called `name`, by its `folder` where its name does not lead there.
fn train_line(name: &str, folder: Option<&PathBuf>) -> Line {
    let line = Line::new(&["train"]);
    match folder {
        None => line.option("--data", name),
        // A single word could be a dataset's name.
        Some(folder) if folder.is_relative() && folder.components().count() == 1 => {
            line.option("--data", Path::new(".").join(folder))
        }
        Some(folder) => line.option("--data", folder),
    }
}

/// All datasets.
fn list(places: &Places, console: &Console) -> Result<()> {
    let list = List {
        datasets: catalogue::list(places),
    };
    console.result(&list, || {
        let mut rows = table(["name", "train", "test", "where"]);
        if let Some(column) = rows.column_mut(3) {
            column.set_cell_alignment(comfy_table::CellAlignment::Left);
        }
        for set in &list.datasets {
            let place = match &set.found {
                Found::Embedded => "inside the program".into(),
                Found::Folder { path } => path.display().to_string(),
                Found::Missing { advice } => format!("not here: {advice}"),
            };
            rows.add_row([set.name.into(), thousands(set.train), thousands(set.test), place]);
        }
        format!("{}\nOr give a folder with IDX files (train-images-idx3-ubyte and so on, plain or .gz; idx4 for images with channels).\n", text(&rows))
    }, Line::new(&["train", "--data", here(&list)]))
}

/// The largest of the datasets that are here, the first of those.
fn here(list: &List) -> &'static str {
    let here = list
        .datasets
        .iter()
        .filter(|set| !matches!(set.found, Found::Missing { .. }));
    here.rev()
        .max_by_key(|set| set.train)
        .map_or(digits::NAME, |set| set.name)
}

/// The dataset given after `--data`.
pub(super) fn load(name: &str, console: &Console) -> Result<Dataset> {
    load_as(name, (None, None), console)
}

/// The dataset given after `--data`, its pixels normalised by the mean and deviation stated, each
/// its own where it is not.
pub(super) fn load_as(
    name: &str,
    (mean, std): (Option<f32>, Option<f32>),
    console: &Console,
) -> Result<Dataset> {
    let mut data = catalogue::load(name, &Places::from_environment())?;
    let own = data.normalisation;
    if mean.is_some() || std.is_some() {
        data.normalisation = Normalisation {
            mean: mean.unwrap_or(own.mean),
            std: std.unwrap_or(own.std),
            source: NormalisationSource::Stated,
        };
    } else if own.source == NormalisationSource::Computed {
        let Normalisation { mean, std, .. } = own;
        console.note(&format!(
            "{name}: pixels normalised by their own mean {mean:.4} and deviation {std:.4}"
        ));
    }
    // The published sets and `digits` have none, or a few that are known.
    if own.source == NormalisationSource::Computed {
        match data.repeated() {
            0 => {}
            repeated => console.note(&format!(
                "warning: {repeated} of the {} test images of {name} are among its training images: scores are too good by what a network remembers of them",
                data.test.len()
            )),
        }
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetched_set_is_trained_on_by_its_name_or_where_it_is() {
        for (folder, line) in [
            (None, "rarefy train --data mnist"),
            (Some("mnist"), "rarefy train --data ./mnist"),
            (Some("-sets"), "rarefy train --data ./-sets"),
            (Some("../my sets"), "rarefy train --data '../my sets'"),
            (Some("/sets/mnist"), "rarefy train --data /sets/mnist"),
        ] {
            let folder = folder.map(PathBuf::from);
            assert_eq!(train_line("mnist", folder.as_ref()).to_string(), line);
        }
    }
}
