//! Independent parts of an operator, on one thread or several.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

/// Calls `run` with each of `jobs`, on several threads if there is more than one and the operator
/// takes enough `multiplications` for it to pay.
///
/// The jobs write to different places, so the results do not depend on the threads.
pub(super) fn run<T: Send>(jobs: Vec<T>, multiplications: usize, run: impl Fn(T) + Send + Sync) {
    let pays = multiplications >= gemm::get_threading_threshold();
    if pays && rayon::current_num_threads() > 1 {
        jobs.into_par_iter().for_each(run);
    } else {
        jobs.into_iter().for_each(run);
    }
}
