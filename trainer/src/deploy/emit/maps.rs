//! Emits convolutions and pooling: loops over positions around straight-line sums.
//!
//! A map that needs padding is first copied into one with a zero margin, so that no tap tests for
//! a border. Each position then reads a window of fixed length, in which every tap has a fixed
//! offset.

use rarefy_format::{
    LayerSpec, Margin, Operation, Pooling, Shape, WeightsSpec, Window, output_shape,
};

use super::rows::{Output, Rows, function};

/// Returns the shape of a convolution's sums, before pooling.
fn sums(window: Window, channels: u16, source: Shape) -> Shape {
    let operation = Operation::Conv {
        window,
        pooling: None,
    };
    output_shape(&operation, channels.into(), source).expect("the window fits")
}

/// Returns the number of positions of each channel.
fn plane(shape: Shape) -> usize {
    usize::from(shape.height) * usize::from(shape.width)
}

/// Returns the functions that compute a convolution or a pooling layer, which maps shape `source`
/// to shape `output`.
pub(super) fn layer(layer: &LayerSpec, number: usize, source: Shape, output: Shape) -> String {
    let (window, pooling) = match layer.operation {
        Operation::Conv { window, pooling } => (window, pooling),
        Operation::Pool { window, pooling } => (window, Some((pooling, 1))),
        Operation::Dense => unreachable!("a dense layer has no window"),
    };
    let padding = window.padding;
    let padded = Shape {
        channels: source.channels,
        height: source.height + u16::from(padding.top) + u16::from(padding.bottom),
        width: source.width + u16::from(padding.left) + u16::from(padding.right),
    };
    let body = match &layer.weights {
        WeightsSpec::Integers { bias, rows } => {
            let part = Rows { bias, rows };
            convolution(layer, number, &part, window, pooling, padded, output)
        }
        _ => pool(layer, pooling, window, padded, output),
    };
    let skip = layer.skip.map_or(String::new(), |_| {
        let length = sums(window, output.channels, source).len();
        format!(", skip: &[u8; {length}]")
    });
    let copy = if padding.is_none() {
        String::new()
    } else {
        pad(source, padded, padding)
    };
    format!(
        "{functions}
fn layer_{number}(x: &[u8; {inputs}]{skip}) -> [u8; {outputs}] {{
{copy}    let mut y = [0; {outputs}];
{loops}    y
}}
",
        functions = body.functions,
        loops = body.loops,
        inputs = source.len(),
        outputs = output.len(),
    )
}

/// The parts of a layer's code that depend on its operation.
struct Body {
    /// Functions that precede the layer's own.
    functions: String,
    /// The loops that compute the outputs `y` from the padded map `x`.
    loops: String,
}

/// Returns statements that shadow `x` with the padded map.
fn pad(source: Shape, padded: Shape, padding: Margin) -> String {
    format!(
        "    let mut padded = [0; {length}];
    for (from, to) in x.chunks_exact({plane}).zip(padded.chunks_exact_mut({padded_plane})) {{
        let rows = to.chunks_exact_mut({padded_width}).skip({top});
        for (from, to) in from.chunks_exact({width}).zip(rows) {{
            for (from, to) in from.iter().zip(to.iter_mut().skip({left})) {{
                *to = *from;
            }}
        }}
    }}
    let x = &padded;
",
        length = padded.len(),
        plane = plane(source),
        padded_plane = plane(padded),
        padded_width = padded.width,
        width = source.width,
        top = padding.top,
        left = padding.left,
    )
}

/// Returns the body of a convolution and the pooling fused into it.
fn convolution(
    layer: &LayerSpec,
    number: usize,
    part: &Rows<'_>,
    window: Window,
    pooling: Option<(Pooling, u8)>,
    padded: Shape,
    output: Shape,
) -> Body {
    let taps = taps(part, window, padded);
    let taps = Rows {
        bias: part.bias,
        rows: &taps,
    };
    let last = taps.rows.iter().flatten().map(|&(offset, _)| offset).max();
    let span = last.map_or(1, |last| usize::from(last) + 1);
    let (kind, pool) = pooling.map_or((None, 1), |(kind, size)| (Some(kind), usize::from(size)));
    let (start, combine) = match kind {
        None | Some(Pooling::Max) => ("i32::MIN", "(*kept).max(sum)"),
        Some(Pooling::Average) => ("0", "*kept + sum.max(0)"),
    };
    let skip = addition(layer, window, padded);
    let mutable = if skip.is_empty() { "" } else { "mut " };
    let outputs = output.channels;
    Body {
        functions: function(&taps, &format!("layer_{number}_sums"), span, Output::Sums),
        loops: format!(
            "    for place in 0..{places} {{
        let (down, across) = (place / {width}, place % {width});
        let mut kept = [{start}; {outputs}];
        for step in 0..{area} {{
            let row = down * {pool} + step / {pool};
            let column = across * {pool} + step % {pool};
            let window = x.get(row * {row} + column * {stride}..);
            if let Some(window) = window.and_then(|window| window.first_chunk::<{span}>()) {{
                let {mutable}sums = layer_{number}_sums(window);
{skip}                for (kept, sum) in kept.iter_mut().zip(sums) {{
                    *kept = {combine};
                }}
            }}
        }}
        for (y, kept) in y.chunks_exact_mut({plane}).zip(kept) {{
            y[place] = store(kept, {shift});
        }}
    }}
",
            places = plane(output),
            width = output.width,
            area = pool * pool,
            row = usize::from(padded.width) * usize::from(window.stride[0]),
            stride = window.stride[1],
            plane = plane(output),
            shift = layer.shift,
        ),
    }
}

/// Returns the rows of a convolution with each weight's column replaced by the offset of its tap
/// from the first element of the window in the `padded` map.
fn taps(part: &Rows<'_>, window: Window, padded: Shape) -> Vec<Vec<(u16, i16)>> {
    let (area, across) = (window.area(), usize::from(window.size[1]));
    let (width, plane) = (usize::from(padded.width), plane(padded));
    let offset = |column: u16| {
        let (channel, tap) = (usize::from(column) / area, usize::from(column) % area);
        let offset = channel * plane + tap / across * width + tap % across;
        u16::try_from(offset).expect("a map has at most 65,535 elements")
    };
    let row = |row: &Vec<(u16, i16)>| {
        let taps = row.iter();
        taps.map(|&(column, weight)| (offset(column), weight))
            .collect()
    };
    part.rows.iter().map(row).collect()
}

/// Returns the statements that add the skip of a convolution, if it has one.
fn addition(layer: &LayerSpec, window: Window, padded: Shape) -> String {
    let Some(skip) = layer.skip else {
        return String::new();
    };
    // The map before pooling, including the positions that pooling drops.
    let window = Window {
        padding: Margin::NONE,
        ..window
    };
    let Shape { height, width, .. } = sums(window, padded.channels, padded);
    format!(
        "                for (sum, plane) in sums.iter_mut().zip(skip.chunks_exact({})) {{
                    *sum += (plane[row * {width} + column] as i32) << {};
                }}
",
        usize::from(height) * usize::from(width),
        skip.shift
    )
}

/// Returns the body of a pooling layer.
fn pool(
    layer: &LayerSpec,
    pooling: Option<(Pooling, u8)>,
    window: Window,
    padded: Shape,
    output: Shape,
) -> Body {
    let (start, combine) = match pooling {
        Some((Pooling::Average, _)) => (
            (1_i64 << layer.shift >> 1).to_string(),
            "kept + value as i32",
        ),
        _ => ("0".to_owned(), "kept.max(value as i32)"),
    };
    let shift = match pooling {
        Some((Pooling::Average, _)) => layer.shift,
        _ => 0,
    };
    Body {
        functions: String::new(),
        loops: format!(
            "    for (x, y) in x.chunks_exact({padded_plane}).zip(y.chunks_exact_mut({plane})) {{
        for (place, y) in y.iter_mut().enumerate() {{
            let (row, column) = (place / {width} * {down}, place % {width} * {across});
            let mut kept = {start};
            for x in x.chunks_exact({padded_width}).skip(row).take({rows}) {{
                for &value in x.iter().skip(column).take({columns}) {{
                    kept = {combine};
                }}
            }}
            *y = store(kept, {shift});
        }}
    }}
",
            padded_plane = plane(padded),
            padded_width = padded.width,
            plane = plane(output),
            width = output.width,
            down = window.stride[0],
            across = window.stride[1],
            rows = window.size[0],
            columns = window.size[1],
        ),
    }
}
