//! Sets the number of threads for training and pruning.
//!
//! Matrix products and convolutions use several threads, and so does evaluation, a batch per
//! thread. Every sum adds the same terms in the same order, so results are bit-identical for any
//! number of threads. Splitting pays only for large products: one of LeNet-300-100 takes less than
//! a millisecond, and waking threads, or waiting for a core that another process uses, costs more
//! than it saves. By default, only products and convolutions of at least [`WORTHWHILE`]
//! multiplications, such as those of VGG-16, are split.

use std::num::NonZeroUsize;
use std::thread;

use rayon::ThreadPoolBuilder;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// Minimum number of multiplications in a product that is split by default: some milliseconds of
/// work.
pub const WORTHWHILE: usize = 1 << 27;

/// Minimum number of multiplications in a product that is split if a number of threads is
/// requested.
const SPLIT: usize = 1 << 19;

/// Limits this process to `threads` threads. By default, products that are large enough use all
/// cores.
///
/// A product is split into as many parts as there are cores, or as `RAYON_NUM_THREADS` requests.
/// At most one thread per core is started, because more would not be faster. Must be called before
/// anything is computed.
///
/// # Errors
/// Returns an error if the threads cannot be started, or if an earlier call started them.
pub fn choose(threads: Option<NonZeroUsize>) -> Result<(), String> {
    match threads.map(NonZeroUsize::get) {
        None => gemm::set_threading_threshold(WORTHWHILE),
        Some(1) => gemm::set_threading_threshold(usize::MAX),
        Some(threads) => {
            let threads = threads.min(most());
            let pool = ThreadPoolBuilder::new().num_threads(threads).build_global();
            pool.map_err(|e| format!("cannot start {threads} threads ({e}): use fewer"))?;
            gemm::set_threading_threshold(SPLIT);
        }
    }
    Ok(())
}

/// Checks whether this process is limited to one thread.
#[must_use]
pub fn is_one() -> bool {
    gemm::get_threading_threshold() == usize::MAX || rayon::current_num_threads() == 1
}

/// Applies `of` to each of the `items` and returns the results in order. The items are divided
/// among the threads, unless this process is limited to one.
pub fn map<T: Send, R: Send>(items: Vec<T>, of: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    match count() {
        1 => items.into_iter().map(of).collect(),
        _ => items.into_par_iter().map(of).collect(),
    }
}

/// Returns the number of threads among which [`map`] divides its items.
#[must_use]
pub fn count() -> usize {
    match is_one() {
        true => 1,
        false => rayon::current_num_threads(),
    }
}

/// Returns the maximum number of threads: the number of cores.
#[must_use]
pub fn most() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    /// Checks that the threshold set here is the one that candle's products read.
    #[test]
    fn there_is_one_gemm() {
        let lock = include_str!("../../Cargo.lock");
        assert_eq!(lock.matches("name = \"gemm\"").count(), 1);
    }
}
