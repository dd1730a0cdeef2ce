//! The walk over dense layers alone, for builds without `maps`: they write at the two ends of the arena
//! in turn, and what lies between what a layer reads and what it writes is its scratch.

use core::ops::Range;

use rarefy_format::Model;

use crate::kernels::{self, Output};

/// Computes all layers of `model`; gives the words of `arena`, which has as many as the model needs, in
/// which the logits are. `None` when the arena does not hold what a layer reads and writes.
#[inline(always)]
pub(crate) fn run(model: &Model<'_>, input: &[u8], arena: &mut [u32]) -> Option<Range<usize>> {
    let (mut at_front, mut read) = (true, 0);
    for layer in model.dense_layers() {
        let parts = (at_front, layer.words, read);
        #[cfg(not(cortex_m))]
        let (write, scratch, source) = split(arena, parts)?;
        // SAFETY: what the layers before have written is what this one reads, and `Model::parse` has
        // checked that the arena is at least as long as what each layer reads and writes.
        #[cfg(cortex_m)]
        #[allow(unsafe_code)]
        let (write, scratch, source) = unsafe { kernels::unchecked::arena::split(arena, parts) };
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

/// Splits the arena into what a layer writes, its scratch and what it reads: so many words at the front
/// and the end, by whether it writes `at_front`, and what lies between.
#[cfg(not(cortex_m))]
fn split(
    arena: &mut [u32],
    (at_front, write, read): (bool, usize, usize),
) -> Option<(&mut [u32], &mut [u32], &[u32])> {
    let front = if at_front { write } else { read };
    let (front, rest) = arena.split_at_mut_checked(front)?;
    let end = if at_front { read } else { write };
    let (between, end) = rest.split_at_mut_checked(rest.len().checked_sub(end)?)?;
    Some(if at_front {
        (front, between, end)
    } else {
        (end, between, front)
    })
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
    fn the_arena_is_split_alike_with_and_without_checks() {
        for at_front in [true, false] {
            for (write, read) in [(0, 0), (0, 3), (2, 0), (2, 3), (3, 4)] {
                let mut arena: [u32; 7] = core::array::from_fn(|word| word as u32);
                let parts = (at_front, write, read);
                let (a, b, c) = split(&mut arena, parts).unwrap();
                let expected = (a.to_vec(), b.to_vec(), c.to_vec());
                // SAFETY: `write + read` is at most 7.
                #[allow(unsafe_code)]
                let (a, b, c) = unsafe { unchecked::arena::split(&mut arena, parts) };
                assert_eq!((a.to_vec(), b.to_vec(), c.to_vec()), expected);
            }
        }
        assert!(split(&mut [0; 7], (true, 4, 4)).is_none());
    }

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
            let mut other = vec![9; model.arena_words()];
            let expected = Engine::new(model).unwrap().infer(&input, &mut other);
            let found: &[i32] = bytemuck::cast_slice(&arena[logits]);
            assert_eq!(found, expected.unwrap(), "seed {seed}");
            compared += 1;
        }
        assert!(compared > 400, "{compared}");
    }
}
