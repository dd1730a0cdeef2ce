//! Layers over feature maps: convolutions, pooling, and the copy of a padded input.

use rarefy_format::{Buffer, Layer, Margin, Operation, Rows, Weights};

use crate::kernels::geometry::{Convolution, FusedPooling, Pooling, Reduction, WindowStrides};
use crate::kernels::taps::Incoming;
use crate::kernels::{convolution, pooling};

/// A skip source, if there is one: its bytes, their layout, and the left shift of its activations.
pub(crate) type Skip<'a> = Option<(&'a [u8], Buffer, u8)>;

/// Copies the input into `buffer`, with zeros around each channel, if the buffer lies in the arena.
/// Returns `None` if the input does not fit.
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
            // The compiler would not remove the panic of `copy_from_slice` for different lengths.
            for (to, &value) in to.iter_mut().zip(rows.next()?) {
                *to = value;
            }
        }
    }
    Some(())
}

/// Runs a convolution or a pooling layer; `scratch` is the memory for the taps of one channel.
/// Returns `None` if a slice is too short.
pub(crate) fn run(
    layer: &Layer<'_>,
    source: &[u8],
    skip: Skip<'_>,
    output: &mut [u32],
    scratch: &mut [u32],
) -> Option<()> {
    if !layer.output().margin.is_none() {
        output.fill(0);
    }
    let output = bytemuck::must_cast_slice_mut(output);
    match layer.weights() {
        #[cfg(feature = "words")]
        Weights::Words(words) => {
            let mut rows = words.rows();
            let next = &mut |words: &mut [u32]| collect(&mut rows, words);
            convolve(next, layer, source, skip, output, scratch)
        }
        #[cfg(feature = "csr")]
        Weights::Csr(csr) => {
            let mut rows = csr.rows();
            let next = &mut |words: &mut [u32]| collect(&mut rows, words);
            convolve(next, layer, source, skip, output, scratch)
        }
        #[cfg(feature = "dense")]
        Weights::Dense(dense) => {
            let mut rows = dense.rows();
            let next = &mut |words: &mut [u32]| collect(&mut rows, words);
            convolve(next, layer, source, skip, output, scratch)
        }
        #[cfg(feature = "rice")]
        Weights::Rice(rice) => {
            let mut rows = rice.each();
            let next = &mut |words: &mut [u32]| collect(&mut rows, words);
            convolve(next, layer, source, skip, output, scratch)
        }
        Weights::None => pool(layer, source, output),
        _ => None,
    }
}

/// Returns the offset in a buffer of the corner of the first window, if windows have the padding
/// `margin`. Without padding, this is the offset of the first value.
fn corner(buffer: &Buffer, margin: Margin) -> usize {
    let Margin { top, left, .. } = buffer.margin;
    let down = usize::from(top).saturating_sub(margin.top.into());
    let right = usize::from(left).saturating_sub(margin.left.into());
    down * buffer.row_stride() + right
}

/// Returns whether testing a source for zeros pays off, which is so if at least twelve of some
/// thirty sampled words are 0.
fn has_zeros(source: &[u8]) -> bool {
    // An odd distance, so that the samples are not all of one column.
    let apart = (source.len() / 32).max(4) | 1;
    let words = source.chunks_exact(apart).filter_map(<[u8]>::first_chunk);
    words.filter(|&&word| word == [0; 4]).count() >= 12
}

/// A function that fills words with the taps of the next channel, and returns the channel's bias
/// and the number of taps.
type Next<'a> = &'a mut dyn FnMut(&mut [u32]) -> Option<(i32, usize)>;

/// Collects the taps of the next row in `words`, as [`Next`] specifies.
#[inline(never)]
fn collect(rows: &mut impl Rows, words: &mut [u32]) -> Option<(i32, usize)> {
    let mut taps = Incoming::new(words);
    let bias = rows.next_row(|column, weight| taps.push(column, weight))?;
    Some((bias, taps.count()))
}

/// Runs a convolution channel by channel: places the taps of a channel, then slides them over the
/// source.
#[inline(never)]
fn convolve(
    next: Next<'_>,
    layer: &Layer<'_>,
    source: &[u8],
    skip: Skip<'_>,
    output: &mut [u8],
    scratch: &mut [u32],
) -> Option<()> {
    let Operation::Conv { window, pooling } = layer.operation() else {
        return None;
    };
    let (reads, writes) = (layer.source(), layer.output());
    let (pooling, pool) = match pooling {
        None => (FusedPooling::None, 1),
        Some((rarefy_format::Pooling::Max, size)) => (FusedPooling::Max, size),
        Some((rarefy_format::Pooling::Average, size)) => (FusedPooling::Average, size),
    };
    let ([down, stride], row) = (window.stride.map(usize::from), reads.row_stride());
    let geometry = Convolution {
        stride,
        down: row.saturating_mul(down),
        height: writes.shape.height.into(),
        width: writes.shape.width.into(),
        output_row: writes.row_stride(),
        pooling,
        pool: pool.into(),
        shift: layer.shift(),
        skip_row: skip.map_or(0, |(_, buffer, _)| buffer.row_stride()),
        skip_shift: skip.map_or(0, |(_, _, shift)| shift),
        zeros: cfg!(cortex_m = "v7em") && has_zeros(source),
    };
    let grouped = geometry.groups();
    let size = window.size.map(usize::from);
    let strides = WindowStrides::new(size, row, reads.channel_stride());
    let source = source.get(corner(&reads, window.padding)..)?;
    let mut output = output.get_mut(corner(&writes, Margin::NONE)..)?;
    let mut skip = match skip {
        Some((bytes, buffer, _)) => {
            let bytes = bytes.get(corner(&buffer, Margin::NONE)..)?;
            Some((bytes, buffer.channel_stride()))
        }
        None => None,
    };
    for channel in 0..layer.outputs() {
        if channel > 0 {
            output = output.get_mut(writes.channel_stride()..)?;
            if let Some((bytes, stride)) = skip {
                skip = Some((bytes.get(stride..)?, stride));
            }
        }
        let (bias, count) = next(scratch)?;
        let taps = convolution::place(scratch, count, &strides, grouped);
        let skip = skip.map(|(bytes, _)| bytes);
        convolution::run(&geometry, taps, bias, source, skip, output);
    }
    Some(())
}

/// Runs a pooling layer channel by channel.
fn pool(layer: &Layer<'_>, source: &[u8], output: &mut [u8]) -> Option<()> {
    let Operation::Pool { window, pooling } = layer.operation() else {
        return None;
    };
    let (reads, writes) = (layer.source(), layer.output());
    let ([down, stride], row) = (window.stride.map(usize::from), reads.row_stride());
    let geometry = Pooling {
        reduction: match pooling {
            rarefy_format::Pooling::Max => Reduction::Max,
            rarefy_format::Pooling::Average => Reduction::Average(layer.shift()),
        },
        rows: window.size[0].into(),
        columns: window.size[1].into(),
        source_row: row,
        stride,
        down: row.saturating_mul(down),
        height: writes.shape.height.into(),
        width: writes.shape.width.into(),
        output_row: writes.row_stride(),
    };
    let source = source.get(corner(&reads, window.padding)..)?;
    let output = output.get_mut(corner(&writes, Margin::NONE)..)?;
    for channel in 0..layer.outputs() {
        let source = source.get(channel * reads.channel_stride()..)?;
        let output = output.get_mut(channel * writes.channel_stride()..)?;
        pooling::run(&geometry, source, output);
    }
    Some(())
}
