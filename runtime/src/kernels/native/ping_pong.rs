//! The ping-pong buffer of a chain of dense layers, without checking the arena for each layer.
//!
//! The portable version splits the arena with three checks per layer, and selects the source by
//! the end at which it was written. That takes some 40 instructions per layer on a Cortex-M4:
//! LeNet-300-100 at 1000x takes 1,900 instructions with that version and 1,810 with this one.

use core::ops::Range;
use core::slice;

use rarefy_format::{MAPS, Model, Operation};

use crate::kernels::run_layer::RunLayer;

/// Runs each layer with its source, its output and its scratch area. Returns the range of the
/// logits in `arena`, or `None` if the arena is too small, the model is not a chain of dense
/// layers, or a layer cannot be run.
#[inline(always)]
pub(crate) fn walk<L: RunLayer>(
    model: &Model<'_>,
    input: &[u8],
    arena: &mut [u32],
) -> Option<Range<usize>> {
    // A parser without `maps` has accepted nothing but chains.
    let chain = || {
        let dense = |layer: rarefy_format::Layer<'_>| layer.operation() == Operation::Dense;
        model.layers().all(dense)
    };
    if arena.len() < model.arena_words() || MAPS && !chain() {
        return None;
    }
    let (start, len) = (arena.as_mut_ptr(), arena.len());
    // SAFETY: this is the end of the arena.
    let end = unsafe { start.add(len) };
    let (mut at_front, mut read, mut source) = (true, 0, input);
    for layer in model.dense_layers() {
        // A layer's output lies at one end of the arena, its source at the other (the first layer's
        // source is the input), and its scratch area between them. `Model::parse` has checked
        // for each layer that output and source together take at most `arena_words`, so
        // `layer.words + read <= len`.
        let place = match at_front {
            true => start,
            // SAFETY: `layer.words <= len`.
            false => unsafe { end.sub(layer.words) },
        };
        // SAFETY: `layer.words + read <= len`, so the output, the source at the other end and the
        // area between them are disjoint and inside the arena, whose borrow outlives the loop. The
        // source is not written while it is borrowed: the next layer writes where it lies, but
        // reads this layer's output.
        let (write, scratch) = unsafe {
            let between = start.add(if at_front { layer.words } else { read });
            let free = len.unchecked_sub(layer.words).unchecked_sub(read);
            (
                slice::from_raw_parts_mut(place, layer.words),
                slice::from_raw_parts_mut(between, free),
            )
        };
        L::run(layer, source, write, scratch)?;
        // SAFETY: these are the bytes of `write`, whose borrow has ended.
        source = unsafe { slice::from_raw_parts(place.cast(), 4 * layer.words) };
        at_front = !at_front;
        read = layer.words;
    }
    // The last layer wrote where the next one would have read.
    Some(if at_front {
        len.checked_sub(read)?..len
    } else {
        0..read
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use rarefy_format::{AlignedBytes, DenseLayer, write};

    use crate::kernels::portable;
    use crate::networks;

    use super::*;

    /// Fills output and scratch area with numbers that depend on everything that is passed in.
    struct Fill;

    impl RunLayer for Fill {
        fn run(
            layer: DenseLayer<'_>,
            source: &[u8],
            write: &mut [u32],
            scratch: &mut [u32],
        ) -> Option<()> {
            let sizes = [source.len(), layer.words, write.len(), scratch.len()];
            let sizes = sizes.iter().map(|&size| size as u32);
            let all = sizes.chain(source.iter().map(|&byte| u32::from(byte)));
            let hash = all.fold(17, |hash: u32, number| {
                hash.wrapping_mul(16_777_619).wrapping_add(number)
            });
            write.fill(hash);
            scratch.fill(!hash);
            Some(())
        }
    }

    #[test]
    fn matches_the_portable_one() {
        let compared = networks::each_multilayer(500, |seed, model, input| {
            let words = model.arena_words();
            let (mut arena, mut other) = (vec![7; words], vec![7; words]);
            let logits = walk::<Fill>(&model, input, &mut arena);
            let expected = portable::ping_pong::walk::<Fill>(&model, input, &mut other);
            assert!(logits.is_some());
            assert_eq!((logits, &arena), (expected, &other), "seed {seed}");
            assert_eq!(walk::<Fill>(&model, input, &mut arena[1..]), None);
        });
        assert!(compared > 400, "{compared}");
    }

    #[test]
    fn rejects_a_network_with_maps() {
        let network = networks::convolutional(&mut networks::Random::new(1));
        let bytes = AlignedBytes::copy_from(&write(&network).unwrap());
        let model = Model::parse(&bytes).unwrap();
        let input = vec![0; model.inputs()];
        let mut arena = vec![0; model.arena_words()];
        assert_eq!(walk::<Fill>(&model, &input, &mut arena), None);
    }
}
