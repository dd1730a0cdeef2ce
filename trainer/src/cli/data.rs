//! `rarefy data list` and `rarefy data fetch`.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::console::Console;
use super::interrupt;
use super::table::{table, text, thousands};
use crate::data::catalogue::{self, Found, Listing, Places, Published};
use crate::data::fetch;
use crate::data::{Dataset, Normalisation, NormalisationSource};

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
                    bar.name(progress.file.into());
                    bar.message(format!("file {} of {}", progress.index + 1, progress.files));
                    bar.length(progress.total.unwrap_or(progress.received));
                    bar.at(progress.received);
                },
                interrupt::flag(),
            )?;
            drop(bar);
            console.result(&fetched, || {
                format!(
                    "{name} is in {}, every file checked: use it with --data {name}",
                    fetched.folder.display()
                )
            })
        }
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
    })
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
    Ok(data)
}
