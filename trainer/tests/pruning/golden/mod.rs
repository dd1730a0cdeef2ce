//! Results of the paper's own published code, to the very count.
//!
//! A small cut of them is committed in `tests/golden`; the README there says how it was made. The
//! whole collection is read from the folder `RAREFY_GOLDEN`, or `shared/golden` beside the
//! workspace, and where there is none the test says so and passes. Both have the same layout, so
//! that one check reads both. Tensors there are in (in, out), ours in (out, in).

mod direct_masks;
mod effective_masks;
mod quotas;
mod searches;

use std::fs;
use std::path::{Path, PathBuf};

use rarefy_trainer::graph::{Graph, Prunable, architecture};
use rarefy_trainer::pruning::ordering::Rounding;
use rarefy_trainer::pruning::quota::{Quota, igq};
use rarefy_trainer::pruning::search::{Target, prune};
use rarefy_trainer::pruning::{Masks, Ordering, PruneError, effective};
use rarefy_trainer::random::Random;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::oracle::PerLayer;
use crate::samples::bits;

/// The cut that is committed.
fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The whole collection, if it is here.
fn whole() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("RAREFY_GOLDEN") {
        let folder = PathBuf::from(folder);
        assert!(
            folder.is_dir(),
            "RAREFY_GOLDEN names no folder: {}",
            folder.display()
        );
        return Some(folder);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: the whole golden collection is not here; RAREFY_GOLDEN can name its folder"
    );
    None
}

fn read<T: DeserializeOwned>(file: &Path) -> T {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// A file of cases.
#[derive(Deserialize)]
struct Cases<T> {
    cases: Vec<T>,
}

/// (in, out) to (out, in).
fn transposed<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let (inputs, outputs) = (shape[0], shape[1]);
    (0..outputs)
        .flat_map(|o| (0..inputs).map(move |i| values[i * outputs + o]))
        .collect()
}

/// Our masks in the layout of the collection.
fn in_out(masks: &Masks) -> PerLayer<bool> {
    masks
        .iter()
        .map(|mask| transposed(&mask.keep, &mask.shape))
        .collect()
}

fn counts(masks: &Masks) -> Vec<usize> {
    masks.iter().map(|mask| mask.nonzeros()).collect()
}

/// The layers' weights drawn from `seed`, uniform in ±sqrt(6 / (field (in + out))).
fn weights(shapes: &[Vec<usize>], seed: u64) -> PerLayer<f64> {
    let mut random = Random::new(seed);
    shapes
        .iter()
        .map(|shape| {
            let (field, ends) = shape.split_at(shape.len() - 2);
            let fan = field.iter().product::<usize>() * (ends[0] + ends[1]);
            let bound = (6.0 / fan as f64).sqrt();
            let size = shape.iter().product::<usize>();
            (0..size)
                .map(|_| (2.0 * random.unit() - 1.0) * bound)
                .collect()
        })
        .collect()
}

fn lenet() -> (Graph, Vec<Vec<usize>>) {
    let shapes = vec![vec![784, 300], vec![300, 100], vec![100, 10]];
    (architecture::by_name("lenet-300-100").unwrap(), shapes)
}
