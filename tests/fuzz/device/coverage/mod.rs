//! Coverage: the paths through the kernels that the cases take.
//!
//! A path is a condition under which the kernel of some core takes different branches. It has a
//! short name, such as `words last: a row of 7`. [`wanted`] lists the paths that the kernels
//! distinguish, [`taken`] those that a layer takes.

mod taken;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use super::cases::Case;

pub(crate) use wanted::all;

/// Paths, by name.
pub(crate) type Paths = BTreeSet<String>;

/// The number of layers that took each path.
#[derive(Default)]
pub(crate) struct Coverage(BTreeMap<String, usize>);

impl Coverage {
    /// Counts the paths that the layers of `case` take.
    pub(crate) fn add(&mut self, case: &Case) {
        for layer in case.model().layers() {
            for path in taken::of(&layer, &case.inputs) {
                *self.0.entry(path).or_default() += 1;
            }
        }
    }

    /// Returns `true` if a case takes one of the `wanted` paths that no earlier case took.
    pub(crate) fn gains(&self, case: &Case, wanted: &Paths) -> bool {
        let new = |path: &String| wanted.contains(path) && !self.0.contains_key(path);
        let mut layers = case.model().layers();
        layers.any(|layer| taken::of(&layer, &case.inputs).iter().any(new))
    }

    /// Returns the paths that no layer has taken.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut paths = all();
        paths.retain(|path| !self.0.contains_key(path));
        paths.into_iter().collect()
    }

    /// Formats a table of layers by encoding and operation, and one of paths by kernel.
    pub(crate) fn report(&self) -> String {
        let mut text = String::from("layers by encoding and operation:\n");
        for (path, count) in &self.0 {
            if let Some(what) = path.strip_prefix(LAYERS) {
                text += &format!("  {what:24} {count:>8}\n");
            }
        }
        let mut kernels: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
        let paths = all();
        for path in &paths {
            if let Some((kernel, what)) =
                path.split_once(": ").filter(|_| !path.starts_with(LAYERS))
            {
                let count = self.0.get(path).copied().unwrap_or(0);
                kernels.entry(kernel).or_default().push((count, what));
            }
        }
        text += "paths through the kernels that were taken:\n";
        for (kernel, paths) in kernels {
            let taken = paths.iter().filter(|(count, _)| *count > 0).count();
            let (least, what) = paths.iter().min().expect("a kernel has paths");
            let of = paths.len();
            text +=
                &format!("  {kernel:24} {taken:>3} of {of:>3}; least often: {what} ({least})\n");
        }
        text
    }
}

/// Prefix of paths that combine an encoding and an operation.
const LAYERS: &str = "layer: ";

/// Kinds of dense layers: hidden ones store bytes, the last one accumulators.
const ENDS: [&str; 2] = ["hidden", "last"];
/// Kinds of fused pooling; `stored` stands for none.
const POOLINGS: [&str; 3] = ["stored", "max", "average"];
