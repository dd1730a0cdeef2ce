//! What to prune, how and how far, from the command line.

use clap::Args;

use crate::pruning::{Compression, InvalidCompression, Pruner, Target};

/// The options that say what is pruned, by what, and to which compression.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The architecture: a name of `rarefy arch`, or a TOML file
    #[arg(long, default_value = "lenet-300-100")]
    pub(super) arch: String,
    #[arg(long, default_value = "magnitude/igq", help = format!("The pruner: {}", Pruner::names().join(", ")))]
    pub(super) pruner: String,
    /// The compression ratio: total weights / remaining weights
    #[arg(long, default_value_t = Compression::default().get())]
    compression: f64,
    /// Which remaining weights the ratio counts
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
