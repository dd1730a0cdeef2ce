//! The walk over dense layers alone, for builds without `maps`: they write at the two ends of the arena
//! in turn, and what lies between what a layer reads and what it writes is its scratch.

use core::ops::Range;

use rarefy_format::Model;

use crate::kernels;
#[cfg(any(test, not(cortex_m)))]
use crate::kernels::Output;

/// Computes all layers of `model`; gives the words of `arena`, which has as many as the model needs, in
/// which the logits are. `None` when the arena does not hold what a layer reads and writes.
#[cfg(any(test, not(cortex_m)))]
pub(crate) fn run(model: &Model<'_>, input: &[u8], arena: &mut [u32]) -> Option<Range<usize>> {
    let (mut at_front, mut read) = (true, 0);
    for layer in model.dense_layers() {
        let (write, scratch, source) = if at_front {
            let (write, rest) = arena.split_at_mut_checked(layer.words)?;
            let (scratch, source) = rest.split_at_mut_checked(rest.len().checked_sub(read)?)?;
            (write, scratch, &*source)
        } else {
            let (source, rest) = arena.split_at_mut_checked(read)?;
            let end = rest.len().checked_sub(layer.words)?;
            let (scratch, write) = rest.split_at_mut_checked(end)?;
            (write, scratch, &*source)
        };
        let source = if layer.first {
            input
        } else {
            bytemuck::must_cast_slice(source)
        };
        let output = if layer.last {
            Output::Sums(bytemuck::must_cast_slice_mut(write))
        } else {
            Output::Bytes {
                words: write,
                shift: layer.shift,
            }
        };
        kernels::dense(layer.weights, layer.first, source, output, scratch)?;
        at_front = !at_front;
        read = layer.words;
    }
    // The last layer wrote where the next would have read.
    Some(if at_front {
        arena.len().checked_sub(read)?..arena.len()
    } else {
        0..read
    })
}

/// The same without checks, see [`kernels::unchecked::chain`].
#[cfg(all(cortex_m, not(test)))]
#[inline(always)]
pub(crate) fn run(model: &Model<'_>, input: &[u8], arena: &mut [u32]) -> Option<Range<usize>> {
    // SAFETY: this build has no `maps`, nor has its parser (`lib.rs` asserts it), so `Model::parse` has refused
    // all but chains of dense layers; the engine has cut the arena to what the model states.
    #[allow(unsafe_code)]
    unsafe {
        kernels::unchecked::chain::run(model, input, arena)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use rarefy_format::{AlignedBytes, write};

    use super::*;
    use crate::kernels::unchecked;
    use crate::{Engine, networks};

    #[test]
    fn gives_what_the_walk_over_any_network_gives() {
        let mut compared = 0;
        for seed in 0..500 {
            let mut random = networks::Random::new(seed);
            let network = networks::multilayer(&mut random, &networks::DENSE);
            let Ok(bytes) = write(&network) else { continue };
            let bytes = AlignedBytes::copy_from(&bytes);
            let model = Model::parse(&bytes).unwrap();
            let input = random.bytes(model.inputs());
            let mut arena = vec![7; model.arena_words()];
            let logits = run(&model, &input, &mut arena).unwrap();
            let mut third = vec![5; model.arena_words()];
            // SAFETY: a chain of dense layers, and its arena.
            #[allow(unsafe_code)]
            let again = unsafe { unchecked::chain::run(&model, &input, &mut third) };
            assert_eq!(again, Some(logits.clone()));
            assert_eq!(third[logits.clone()], arena[logits.clone()], "seed {seed}");
            let mut other = vec![9; model.arena_words()];
            let expected = Engine::new(model).unwrap().infer(&input, &mut other);
            let found: &[i32] = bytemuck::cast_slice(&arena[logits]);
            assert_eq!(found, expected.unwrap(), "seed {seed}");
            compared += 1;
        }
        assert!(compared > 400, "{compared}");
    }
}
