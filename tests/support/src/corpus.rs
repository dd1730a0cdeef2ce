//! The containers that fuzzing starts from: golden ones, committed seeds, random networks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rarefy_format::write;

use crate::networks::{self, Random};

/// Number of random networks.
const RANDOM: usize = 5000;

/// Reads the golden containers and the committed seeds.
///
/// # Errors
///
/// Returns an error if a folder or a file cannot be read, or if there is no container.
pub fn read() -> Result<Vec<Vec<u8>>, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut corpus = Vec::new();
    for folder in ["../../format/tests/golden", "../fuzz/seeds"] {
        let folder = here.join(folder);
        let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "rfy"));
        paths.sort();
        for path in paths {
            corpus.push(fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?);
        }
    }
    if corpus.is_empty() {
        return Err("there is no container to start from".into());
    }
    Ok(corpus)
}

/// Picks containers to mutate. Caches the containers of random networks, since writing coded
/// streams is slow.
pub struct Picker<'a> {
    corpus: &'a [Vec<u8>],
    /// Share of random networks among the picks, in per cent.
    percent: usize,
    written: RefCell<BTreeMap<usize, Option<Vec<u8>>>>,
}

impl<'a> Picker<'a> {
    /// Creates a picker that picks a random network in `percent` per cent of cases, and otherwise
    /// a container of `corpus`.
    pub fn new(corpus: &'a [Vec<u8>], percent: usize) -> Picker<'a> {
        Picker {
            corpus,
            percent,
            written: RefCell::default(),
        }
    }

    /// Returns the next container.
    pub fn pick(&self, random: &mut Random) -> Vec<u8> {
        if random.chance(self.percent) {
            let number = random.below(RANDOM);
            let mut written = self.written.borrow_mut();
            let network = || write(&networks::any(number as u64)).ok();
            // Falls back to the corpus if the network is too large to write.
            if let Some(bytes) = written.entry(number).or_insert_with(network) {
                return bytes.clone();
            }
        }
        self.corpus[random.below(self.corpus.len())].clone()
    }
}

/// Returns the generator for case `case` of a run with `seed`.
pub fn random(seed: u64, case: u64) -> Random {
    Random::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(case))
}

/// Saves a container to a file named after its checksum and returns the path.
///
/// # Errors
///
/// Returns why the file cannot be written.
pub fn save(bytes: &[u8]) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz");
    let path = folder.join(format!(
        "{:08x}.rfy",
        rarefy_format::container_checksum(bytes)
    ));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, bytes))
        .map_err(|e| format!("{} cannot be written: {e}", path.display()))?;
    Ok(path.canonicalize().unwrap_or(path))
}
