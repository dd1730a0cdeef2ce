//! `rarefy eval`: a container's accuracy with the device's own arithmetic.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::console::Console;
use super::table::{percent, thousands};
use super::{data, interrupt};
use crate::deploy::{container, evaluate};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The container
    model: PathBuf,
    /// The dataset whose test images to run: a name of `rarefy data list`, or a folder with IDX
    /// files
    #[arg(long, default_value = "digits")]
    data: String,
}

pub(super) fn run(arguments: &Arguments, console: &Console) -> Result<()> {
    let bytes = container::read(&arguments.model)?;
    let model = container::parse(&bytes, &arguments.model)?;
    let data = data::load(&arguments.data, console)?;
    let bar = console.bar(data.test.len() as u64);
    let score = evaluate::evaluate(model, &data.test, interrupt::flag(), &mut |done| {
        if done % 100 == 0 {
            bar.at(done as u64);
        }
    })?;
    drop(bar);
    let score = score.ok_or_else(interrupt::interrupted)?;
    console.result(&score, || {
        format!(
            "{} of {} test images of {} right: {}",
            thousands(score.correct),
            thousands(score.samples),
            data.name,
            percent(score.accuracy)
        )
    })
}
