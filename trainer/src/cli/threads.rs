//! The option `--threads` of commands that train or score connections.

use std::num::NonZeroUsize;

use anyhow::Result;
use clap::Args;

use super::console::Console;
use super::usage;
use crate::threads;

/// The number of threads.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Number of threads, at most the number of cores; does not affect results [default: all cores
    /// for layers large enough to benefit, otherwise one]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Options {
    /// Sets the number of threads of this process, and prints a note if there are fewer cores.
    /// Must be called once, before any computation.
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
