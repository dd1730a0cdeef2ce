//! What to prune, how and how far, from the command line.

use clap::Args;

use crate::pruning::{Pruner, Target};

/// The options that say what is pruned, by what, and to which compression.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The architecture: a name of `rarefy arch`, or a TOML file
    #[arg(long, default_value = "lenet-300-100")]
    pub(super) arch: String,
    #[arg(long, default_value = "magnitude/igq", help = format!("The pruner: {}", Pruner::names().join(", ")))]
    pub(super) pruner: String,
    /// How many weights there are to one that stays
    #[arg(long, default_value_t = 100.0)]
    pub(super) compression: f64,
    /// Which compression that is: of what stays connected, or of what the mask says
    #[arg(long = "type", value_enum, default_value_t = Target::Effective)]
    pub(super) target: Target,
}
