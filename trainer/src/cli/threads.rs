//! `--threads`, of every command that trains or scores connections.

use std::num::NonZeroUsize;

use anyhow::Result;
use clap::Args;

use super::console::Console;
use super::usage;
use crate::threads;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Threads to compute with, up to the number of cores; results are the same bits [default: all
    /// cores for layers large enough to gain by it, else one]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Options {
    /// Has this process compute with as many threads, and says so where there are fewer cores; to
    /// be called once, before it does.
    pub(super) fn apply(&self, console: &Console) -> Result<()> {
        if let Some(asked) = self.threads {
            console.most(
                ("--threads", asked),
                threads::most(),
                "cores of this machine",
            );
        }
        threads::choose(self.threads).map_err(usage::wrong)
    }
}
