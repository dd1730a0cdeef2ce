//! Operators on feature maps: pooling and padding; and the windows of pooling and convolutions.

use crate::graph::Pooling;
use crate::import::arguments::Arguments;
use crate::import::attributes as attribute;
use crate::import::flow::Flow;
use crate::import::proto::NodeProto;
use crate::import::shapes::axis;
use crate::import::step::{Action, Sliding, Step};

/// Appends pooling.
pub(super) fn pool(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let (node, flow) = (arguments.node, arguments.flow(0)?);
    let window = sliding(node, flow, None)?;
    let map = map(steps, flow)?;
    let kind = match node.op_type.as_str() {
        "MaxPool" => Pooling::Max,
        _ => Pooling::Average,
    };
    let [channels, rows, columns] = map;
    let [height, width] = window.kernel;
    let outside = format!(
        "its window of {height} x {width} does not fit a feature map of {rows} x {columns}"
    );
    let outputs = window.outputs([rows, columns]).ok_or(outside)?;
    // Windows that begin in the map but end after it.
    let cut = [rows, columns]
        .iter()
        .zip(outputs)
        .enumerate()
        .any(|(axis, (&length, outputs))| {
            let padded = window.padding[0][axis] + length + window.padding[1][axis];
            (outputs - 1) * window.stride[axis] + window.kernel[axis] < padded
        });
    if attribute::integer(node, "ceil_mode", 0) != 0 && cut {
        return Err(
            "its last windows reach beyond the map: export the model with ceil_mode = 0".into(),
        );
    }
    let counted = attribute::integer(node, "count_include_pad", 0) != 0;
    if kind == Pooling::Average && counted && window.padding != [[0; 2]; 2] {
        return Err(
            "its means count the padding: export the model with count_include_pad = 0".into(),
        );
    }
    push(
        arguments,
        steps,
        flow,
        &[&[channels], &outputs[..]].concat(),
        Action::Pool(kind, window),
    )
}

/// Appends pooling over a whole map.
pub(super) fn global(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let (node, flow) = (arguments.node, arguments.flow(0)?);
    let reduces = node.op_type.starts_with("Reduce");
    if reduces {
        let axes = match arguments.optional(1, "list of axes")? {
            Some(axes) => axes.as_integers()?.to_vec(),
            None => attribute::integers(node, "axes")
                .unwrap_or_default()
                .to_vec(),
        };
        let axes: Result<Vec<usize>, String> = axes
            .iter()
            .map(|&number| axis(number, flow.dims.len()))
            .collect();
        let mut axes = axes?;
        axes.sort_unstable();
        return over_axes(arguments, steps, flow, &axes);
    }
    let map = map(steps, flow)?;
    whole(arguments, steps, flow, map)
}

/// Appends the reduction of `flow` over the given axes, which must be height and width.
fn over_axes(
    arguments: &Arguments<'_>,
    steps: &mut Vec<Step>,
    flow: &Flow,
    axes: &[usize],
) -> Result<Flow, String> {
    // Where the channels are last, height and width are axes 1 and 2.
    let first = match axes {
        [1, 2] if flow.dims.len() == 4 => flow.transposed(&[0, 3, 1, 2])?,
        [2, 3] => flow.clone(),
        _ => {
            return Err(format!(
                "it reduces the axes {axes:?} of an array of {:?}, but only height and width together are supported",
                flow.dims
            ));
        }
    };
    let map = map(steps, &first)?;
    let pooled = whole(arguments, steps, &first, map)?;
    let mut dims = flow.dims.clone();
    axes.iter().for_each(|&axis| dims[axis] = 1);
    if attribute::integer(arguments.node, "keepdims", 1) == 0 {
        dims = vec![dims[0], map[0]];
    }
    pooled.with_dims(dims)
}

/// Appends pooling of whole maps.
fn whole(
    arguments: &Arguments<'_>,
    steps: &mut Vec<Step>,
    flow: &Flow,
    [channels, height, width]: [usize; 3],
) -> Result<Flow, String> {
    let kind = match arguments.node.op_type.as_str() {
        "GlobalMaxPool" | "ReduceMax" => Pooling::Max,
        _ => Pooling::Average,
    };
    let window = Sliding {
        kernel: [height, width],
        stride: [height, width],
        padding: [[0; 2]; 2],
    };
    push(
        arguments,
        steps,
        flow,
        &[channels, 1, 1],
        Action::Pool(kind, window),
    )
}

/// Appends a margin of zeros.
pub(super) fn pad(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let (node, flow) = (arguments.node, arguments.flow(0)?);
    let mode = attribute::text(node, "mode");
    let value = match arguments.optional(2, "value")? {
        Some(value) => value.to_floats().first().copied().unwrap_or_default(),
        None => f64::from(attribute::float(node, "value", 0.0)),
    };
    if !["", "constant"].contains(&mode.as_str()) || value != 0.0 {
        return Err("it pads with values other than zero: pad with zeros".into());
    }
    if arguments.get(3).is_some() {
        return Err(
            "it pads chosen axes only: export the model again with padding of all axes".into(),
        );
    }
    let pads = match arguments.optional(1, "padding")? {
        Some(pads) => pads.as_integers()?.to_vec(),
        None => attribute::integers(node, "pads")
            .unwrap_or_default()
            .to_vec(),
    };
    if pads.iter().all(|&pad| pad == 0) {
        return Ok(flow.clone());
    }
    let last = flow.dims.len() == 4 && !flow.in_order();
    let first = if last {
        flow.transposed(&[0, 3, 1, 2])?
    } else {
        flow.clone()
    };
    let pads = match (pads.as_slice(), last) {
        (&[0, 0, top, left, 0, 0, bottom, right], false)
        | (&[0, top, left, 0, 0, bottom, right, 0], true) => [top, left, bottom, right],
        _ => {
            return Err(format!(
                "it pads by {pads:?}, but only height and width can be padded"
            ));
        }
    };
    let [top, left, bottom, right] = unsigned(pads)?;
    let [channels, rows, columns] = map(steps, &first)?;
    let shape = [channels, top + rows + bottom, left + columns + right];
    let padded = push(
        arguments,
        steps,
        &first,
        &shape,
        Action::Pad([[top, left], [bottom, right]]),
    )?;
    if last {
        padded.transposed(&[0, 2, 3, 1])
    } else {
        Ok(padded)
    }
}

/// Appends a step on a map, whose output has this `shape`.
fn push(
    arguments: &Arguments<'_>,
    steps: &mut Vec<Step>,
    flow: &Flow,
    shape: &[usize],
    action: Action,
) -> Result<Flow, String> {
    let step = arguments.push(steps, &[flow.step], shape, action)?;
    Ok(Flow::of(step, flow.dims[0], shape))
}

/// Returns the window of a convolution, whose kernel has these `taps` (height, width), or of
/// pooling if `taps` is `None`.
pub(super) fn sliding(
    node: &NodeProto,
    flow: &Flow,
    taps: Option<[usize; 2]>,
) -> Result<Sliding, String> {
    let pair = |name: &str, default: [i64; 2]| match attribute::integers(node, name) {
        None => Ok(default),
        Some(&[height, width]) => Ok([height, width]),
        Some(given) => Err(format!(
            "its {name} is {given:?}, but must be a height and a width"
        )),
    };
    let kernel = match taps {
        Some(taps) => {
            let own = taps.map(|taps| taps as i64);
            let stated = pair("kernel_shape", own)?;
            if stated != own {
                return Err(format!(
                    "its kernel_shape is {stated:?}, but its weight is {} x {}: export the model again",
                    taps[0], taps[1]
                ));
            }
            taps
        }
        None => unsigned(pair("kernel_shape", [0, 0])?)?,
    };
    let stride = unsigned(pair("strides", [1, 1])?)?;
    let dilations = pair("dilations", [1, 1])?;
    if dilations != [1, 1] {
        return Err(format!(
            "its dilations {dilations:?} are not supported: use 1"
        ));
    }
    if kernel.contains(&0) || stride.contains(&0) {
        return Err("its window or stride is 0: export the model again".into());
    }
    let padding = match (
        attribute::text(node, "auto_pad").as_str(),
        attribute::integers(node, "pads"),
    ) {
        ("" | "NOTSET", Some(&[top, left, bottom, right])) => {
            let [top, left, bottom, right] = unsigned([top, left, bottom, right])?;
            [[top, left], [bottom, right]]
        }
        ("" | "NOTSET", Some(given)) => {
            return Err(format!(
                "its pads is {given:?}, but must be four numbers: top, left, bottom and right"
            ));
        }
        ("" | "NOTSET" | "VALID", _) => [[0; 2]; 2],
        (same @ ("SAME_UPPER" | "SAME_LOWER"), _) => {
            let &[_, _, rows, columns] = flow.dims.as_slice() else {
                return Err(not_a_map(flow));
            };
            same_padding(same == "SAME_LOWER", [rows, columns], kernel, stride)
        }
        (other, _) => {
            return Err(format!(
                "its auto_pad {other:?} is unknown: export the model again"
            ));
        }
    };
    Ok(Sliding {
        kernel,
        stride,
        padding,
    })
}

/// Returns the padding that makes outputs `ceil(input / stride)` long.
fn same_padding(
    is_lower: bool,
    map: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
) -> [[usize; 2]; 2] {
    let mut padding = [[0; 2]; 2];
    for axis in 0..2 {
        let outputs = map[axis].div_ceil(stride[axis]);
        let covered = outputs.saturating_sub(1) * stride[axis] + kernel[axis];
        let total = covered.saturating_sub(map[axis]);
        let (less, more) = (total / 2, total - total / 2);
        (padding[0][axis], padding[1][axis]) = if is_lower { (more, less) } else { (less, more) };
    }
    padding
}

/// Converts lengths of a window (size, stride or padding).
fn unsigned<const N: usize>(numbers: [i64; N]) -> Result<[usize; N], String> {
    let mut result = [0; N];
    for (to, &number) in result.iter_mut().zip(&numbers) {
        *to = u16::try_from(number)
            .map_err(|_| {
                format!(
                    "its window or padding has the number {number}, but must be from 0 to {}",
                    u16::MAX
                )
            })?
            .into();
    }
    Ok(result)
}

/// Returns the (channels, height, width) of a map.
fn map(steps: &[Step], flow: &Flow) -> Result<[usize; 3], String> {
    steps[flow.step].map_of(flow).ok_or_else(|| not_a_map(flow))
}

/// Returns why `flow` is not a map.
pub(super) fn not_a_map(flow: &Flow) -> String {
    format!(
        "it reads an array of {:?}, but needs feature maps as (batch, channels, height, width)",
        flow.dims
    )
}
