//! Options shared by the commands that prune: architecture, pruner, compression.

use clap::Args;

use crate::pruning::{Compression, InvalidCompression, Pruner, Target};

/// The architecture to prune, the pruner, and the compression to reach.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Architecture: a name listed by `rarefy arch`, a TOML file, or a folder with an arch.toml
    #[arg(long, default_value = "lenet-300-100")]
    pub(super) arch: String,
    #[arg(long, default_value = "magnitude/igq", help = format!("Pruner: {}", Pruner::names().join(", ")))]
    pub(super) pruner: String,
    /// Compression ratio: total weights / remaining weights
    #[arg(long, default_value_t = Compression::default().get())]
    compression: f64,
    /// Which weights the ratio counts as remaining
    #[arg(long = "type", value_enum, default_value_t = Target::Effective)]
    pub(super) target: Target,
}

impl Options {
    /// Returns the compression ratio.
    ///
    /// # Errors
    /// Returns an error if it is not a finite number of at least 1.
    pub(super) fn compression(&self) -> Result<Compression, InvalidCompression> {
        Compression::new(self.compression)
    }
}
