//! The ping-pong buffer of a chain of dense layers, which write alternately at the two ends of the
//! arena. The words between a layer's source and its output are its scratch area.

use core::ops::Range;

use rarefy_format::Model;

use crate::kernels::run_layer::RunLayer;

/// Runs each layer with its source, its output and its scratch area. Returns the range of the
/// logits in `arena`, or `None` if a layer does not fit the arena or cannot be run.
pub(crate) fn walk<L: RunLayer>(
    model: &Model<'_>,
    input: &[u8],
    arena: &mut [u32],
) -> Option<Range<usize>> {
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
        L::run(layer, source, write, scratch)?;
        at_front = !at_front;
        read = layer.words;
    }
    // The last layer wrote where the next one would have read.
    Some(if at_front {
        arena.len().checked_sub(read)?..arena.len()
    } else {
        0..read
    })
}
