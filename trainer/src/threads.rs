//! How many threads training and pruning compute with.
//!
//! Matrix products alone are computed by several threads, each product split among all of them, and
//! every sum is of the same terms in the same order: the bits are the same whatever their number.
//! Splitting pays only where a product is large. One of LeNet-300-100 takes less than a millisecond,
//! and handing parts of it to threads that have gone to sleep, or wait for a processor that somebody
//! else uses, costs more than it saves; so by default only products of at least [`WORTHWHILE`]
//! multiplications, such as those of VGG-16, are split.

use std::num::NonZeroUsize;
use std::thread;

use rayon::ThreadPoolBuilder;

/// Multiplications of the smallest product that is split by default: some milliseconds of work.
pub const WORTHWHILE: usize = 1 << 27;

/// Multiplications of the smallest product that is split where a number of threads is asked for.
const SPLIT: usize = 1 << 19;

/// Has this process compute with at most `threads` threads, or where none are given with all
/// cores where a product is large enough to gain by it.
///
/// A product is split into as many parts as there are cores, or as the variable
/// `RAYON_NUM_THREADS` says where it is set. More threads than cores would find nothing to do and
/// are not started. To be called before anything is computed.
///
/// # Errors
/// When the threads cannot be started, or were by an earlier call.
pub fn choose(threads: Option<NonZeroUsize>) -> Result<(), String> {
    match threads.map(NonZeroUsize::get) {
        None => gemm::set_threading_threshold(WORTHWHILE),
        Some(1) => gemm::set_threading_threshold(usize::MAX),
        Some(threads) => {
            let threads = threads.min(most());
            let pool = ThreadPoolBuilder::new().num_threads(threads).build_global();
            pool.map_err(|e| format!("--threads {threads}: {e}; give fewer"))?;
            gemm::set_threading_threshold(SPLIT);
        }
    }
    Ok(())
}

/// Returns the most threads that are started: the number of cores.
#[must_use]
pub fn most() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    /// The threshold that is set is the one that candle's products read.
    #[test]
    fn there_is_one_gemm() {
        let lock = include_str!("../../Cargo.lock");
        assert_eq!(lock.matches("name = \"gemm\"").count(), 1);
    }
}
