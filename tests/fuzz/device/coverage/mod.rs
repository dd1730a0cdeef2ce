//! Coverage: the ways through the kernels that the cases take.
//!
//! A way is whatever makes the kernel of any core take other branches, named in a few words, such
//! as `words last: a row of 7`. [`wanted`] lists the ways that the kernels distinguish, [`taken`]
//! those that a layer takes.

mod taken;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use super::cases::Case;

pub(crate) use wanted::all;

/// Ways, by name.
pub(crate) type Ways = BTreeSet<String>;

/// The number of layers that took each way.
#[derive(Default)]
pub(crate) struct Coverage(BTreeMap<String, usize>);

impl Coverage {
    /// Counts the ways of a case.
    pub(crate) fn add(&mut self, case: &Case) {
        for layer in case.model().layers() {
            for way in taken::of(&layer, &case.inputs) {
                *self.0.entry(way).or_default() += 1;
            }
        }
    }

    /// Returns `true` if a case takes one of the `wanted` ways that no earlier case took.
    pub(crate) fn gains(&self, case: &Case, wanted: &Ways) -> bool {
        let new = |way: &String| wanted.contains(way) && !self.0.contains_key(way);
        let mut layers = case.model().layers();
        layers.any(|layer| taken::of(&layer, &case.inputs).iter().any(new))
    }

    /// Returns the ways that no layer has taken.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut ways = all();
        ways.retain(|way| !self.0.contains_key(way));
        ways.into_iter().collect()
    }

    /// Formats a table of layers by encoding and operation, and of ways by kernel.
    pub(crate) fn report(&self) -> String {
        let mut text = String::from("layers by encoding and operation:\n");
        for (way, count) in &self.0 {
            if let Some(what) = way.strip_prefix(LAYERS) {
                text += &format!("  {what:24} {count:>8}\n");
            }
        }
        let mut kernels: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
        let ways = all();
        for way in &ways {
            if let Some((kernel, what)) = way.split_once(": ").filter(|_| !way.starts_with(LAYERS))
            {
                let count = self.0.get(way).copied().unwrap_or(0);
                kernels.entry(kernel).or_default().push((count, what));
            }
        }
        text += "ways through the kernels that were taken:\n";
        for (kernel, ways) in kernels {
            let taken = ways.iter().filter(|(count, _)| *count > 0).count();
            let (least, what) = ways.iter().min().expect("a kernel has ways");
            let of = ways.len();
            text +=
                &format!("  {kernel:24} {taken:>3} of {of:>3}; least often: {what} ({least})\n");
        }
        text
    }
}

/// Prefix of ways that combine an encoding and an operation.
const LAYERS: &str = "layer: ";

/// Kinds of dense layers: hidden ones store bytes, the last one accumulators.
const ENDS: [&str; 2] = ["hidden", "last"];
/// Kinds of fused pooling.
const POOLINGS: [&str; 3] = ["stored", "max", "average"];
