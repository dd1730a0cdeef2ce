//! `rarefy data list`, `data show` and `data fetch`.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::console::Console;
use super::interrupt;
use super::next::Line;
use super::show;
use super::table::{table, text};
use crate::data::catalogue::{self, Found, Listing, Places, Published};
use crate::data::{digits, fetch};
use crate::numbers::thousands;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the datasets that --data accepts by name, and where they are
    List,
    /// Show what is in a dataset: shape, classes, counts and ranges; --svg draws examples
    Show(show::Arguments),
    /// Fetch a published dataset; an interrupted fetch resumes where it stopped
    Fetch {
        /// Dataset: mnist or fashion-mnist
        name: String,
        /// Destination folder [default: $RAREFY_DATA/NAME, or the user's cache folder]
        #[arg(long, short, value_name = "FOLDER")]
        out: Option<PathBuf>,
        /// Base URL to try first; file names are appended (repeatable)
        #[arg(long, value_name = "URL")]
        mirror: Vec<String>,
    },
}

/// The report of `data list`.
#[derive(Debug, Serialize)]
struct List {
    datasets: Vec<Listing>,
}

pub(super) fn run(arguments: Arguments, console: &Console) -> Result<()> {
    let places = Places::from_environment();
    match arguments.command {
        Command::List => list(&places, console),
        Command::Show(arguments) => show::run(&arguments, console),
        Command::Fetch { name, out, mirror } => {
            let set = Published::named(&name)?;
            let folder = out.or_else(|| places.destination(set));
            let folder = folder.ok_or_else(|| {
                anyhow!(
                    "no default folder for {name} on this system: set RAREFY_DATA or give -o FOLDER"
                )
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
            // The name works if it leads to this folder; otherwise the folder is given.
            let found = set.locate(&places);
            let by_name = found.is_ok_and(|(folder, _)| folder == fetched.folder);
            let next = train_line(&name, (!by_name).then_some(&fetched.folder));
            console.result(
                &fetched,
                || {
                    format!(
                        "{name} is in {}; all files have the right checksum",
                        fetched.folder.display()
                    )
                },
                next,
            )
        }
    }
}

/// Returns the command that trains on the dataset `name`, given by its `folder` if there is one.
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

/// Prints all datasets.
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
                Found::Embedded => "built in".into(),
                Found::Folder { path } => path.display().to_string(),
                Found::Missing { advice } => format!("not found: {advice}"),
            };
            rows.add_row([set.name.into(), thousands(set.train), thousands(set.test), place]);
        }
        format!("{}\nA folder of IDX files works too (train-images-idx3-ubyte etc., plain or .gz; idx4 for images with channels),\none with the .bin files of CIFAR-10 or CIFAR-100, or with .npy files; a .npz, .safetensors or .csv file;\nand a folder with a folder of pictures per class.\n", text(&rows))
    }, Line::new(&["train", "--data", here(&list)]))
}

/// Returns the name of the largest available dataset, or of the first one if several are equally
/// large.
fn here(list: &List) -> &'static str {
    let here = list
        .datasets
        .iter()
        .filter(|set| !matches!(set.found, Found::Missing { .. }));
    here.rev()
        .max_by_key(|set| set.train)
        .map_or(digits::NAME, |set| set.name)
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
