//! Convolutions, dense layers and batch norms.

use super::maps::sliding;
use crate::import::arguments::Arguments;
use crate::import::attributes as attribute;
use crate::import::constant::Constant;
use crate::import::flow::Flow;
use crate::import::step::{Action, Affine, Kernel, Norm, Step};

/// Appends a convolution. It takes over the margin of a `Pad` before it.
pub(super) fn conv(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let (node, flow) = (arguments.node, arguments.flow(0)?);
    let weight = arguments.constant(1, "weight")?;
    let &[outputs, inputs, height, width] = weight.shape.as_slice() else {
        return Err(format!(
            "its weight has the shape {:?}, but only convolutions over height and width are supported",
            weight.shape
        ));
    };
    let given = attribute::integer(node, "group", 1);
    let groups = usize::try_from(given).unwrap_or_default();
    let mut window = sliding(node, flow, Some([height, width]))?;
    let [channels, rows, columns] = map(steps, flow)?;
    if groups == 0 || !outputs.is_multiple_of(groups) {
        return Err(format!(
            "its {given} groups do not divide its {outputs} channels: export the model again"
        ));
    }
    if inputs.checked_mul(groups) != Some(channels) {
        let whole = match groups {
            1 => String::new(),
            _ => format!(" in each of {groups} groups"),
        };
        return Err(format!(
            "its weight expects {inputs} channels{whole}, but it reads {channels}: export the model again"
        ));
    }
    let outside = format!(
        "its window of {height} x {width} does not fit a feature map of {rows} x {columns}"
    );
    let map = window.outputs([rows, columns]).ok_or(outside)?;
    let mut source = flow.step;
    if let Action::Pad(margin) = steps[source].action {
        for (padding, margin) in window.padding.iter_mut().zip(margin) {
            padding
                .iter_mut()
                .zip(margin)
                .for_each(|(padding, margin)| *padding += margin);
        }
        source = steps[source].sources[0];
    }
    let kernel = Kernel {
        shape: weight.shape.clone(),
        groups,
        weights: weight.to_floats(),
        bias: bias(arguments, 2, outputs)?,
    };
    let shape = [&[outputs], &map[..]].concat();
    let step = arguments.push(steps, &[source], &shape, Action::Conv(kernel, window))?;
    Ok(Flow::of(step, flow.dims[0], &shape))
}

/// Appends a dense layer: `alpha * x B + beta * C`, where x is the input.
pub(super) fn gemm(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let (node, flow) = (arguments.node, arguments.flow(0)?);
    if attribute::integer(node, "transA", 0) != 0 {
        return Err("it transposes its input: export the model with transA = 0".into());
    }
    let weight = arguments.constant(1, "weight")?;
    let weight = match attribute::integer(node, "transB", 0) != 0 {
        true => weight.clone(),
        false => transposed(weight)?,
    };
    let outputs = weight.shape.first().copied().unwrap_or_default();
    let alpha = f64::from(attribute::float(node, "alpha", 1.0));
    let beta = f64::from(attribute::float(node, "beta", 1.0));
    let mut bias = bias(arguments, 2, outputs)?;
    bias.iter_mut().flatten().for_each(|bias| *bias *= beta);
    dense(arguments, steps, flow, &weight, alpha, bias)
}

/// Appends a dense layer without a bias: `x B`, where x is the input.
pub(super) fn product(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let flow = arguments.flow(0)?;
    let weight = transposed(arguments.constant(1, "weight")?)?;
    dense(arguments, steps, flow, &weight, 1.0, None)
}

/// Appends a dense layer with the weight `scale * weight` (out, in), whose columns are in the order
/// of the file.
fn dense(
    arguments: &Arguments<'_>,
    steps: &mut Vec<Step>,
    flow: &Flow,
    weight: &Constant,
    scale: f64,
    bias: Option<Vec<f64>>,
) -> Result<Flow, String> {
    let &[outputs, inputs] = weight.shape.as_slice() else {
        return Err(format!(
            "its weight has the shape {:?}, but must be a matrix",
            weight.shape
        ));
    };
    let sample = flow.sample();
    if sample.last() != Some(&inputs) || flow.places.len() != inputs {
        return Err(format!(
            "it multiplies an array of {:?} by a matrix for {inputs} inputs, but a dense layer reads all values of a sample: flatten them first",
            flow.dims
        ));
    }
    let given = weight.to_floats();
    let mut weights = vec![0.0; given.len()];
    for (row, to) in given
        .chunks(inputs.max(1))
        .zip(weights.chunks_mut(inputs.max(1)))
    {
        for (value, &place) in row.iter().zip(flow.places.iter()) {
            to[place as usize] = value * scale;
        }
    }
    let kernel = Kernel {
        shape: vec![outputs, inputs],
        groups: 1,
        weights,
        bias,
    };
    let step = arguments.push(steps, &[flow.step], &[outputs], Action::Dense(kernel))?;
    let mut dims = flow.dims.clone();
    if let Some(last) = dims.last_mut() {
        *last = outputs;
    }
    Flow::of(step, flow.dims[0], &[outputs]).with_dims(dims)
}

/// Appends a batch norm.
pub(super) fn norm(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let (node, flow) = (arguments.node, arguments.flow(0)?);
    if attribute::integer(node, "training_mode", 0) != 0 {
        return Err("it normalises with the statistics of batches: export the model in evaluation mode (model.eval())".into());
    }
    let shape = steps[flow.step].shape.clone();
    if flow.sample() != shape || !flow.in_order() {
        return Err(format!(
            "it normalises an array of {:?}, but the axis after the batch must hold the channels of a map or the units of a dense layer",
            flow.dims
        ));
    }
    let units = shape[0];
    let list = |at: usize, what: &str| {
        let values = arguments.constant(at, what)?.to_floats();
        match values.len() == units {
            true => Ok(values),
            false => Err(format!(
                "its {what} has {} values for {units} channels: export the model again",
                values.len()
            )),
        }
    };
    let norm = Norm {
        affine: Affine {
            scale: list(1, "scale")?,
            shift: list(2, "shift")?,
        },
        mean: list(3, "mean")?,
        variance: list(4, "variance")?,
        epsilon: f64::from(attribute::float(node, "epsilon", 1e-5)),
    };
    // This also rejects NaN.
    if !norm
        .variance
        .iter()
        .all(|variance| variance + norm.epsilon > 0.0)
    {
        return Err("one of its variances is negative: train the network again".into());
    }
    let step = arguments.push(steps, &[flow.step], &shape, Action::Norm(norm))?;
    Ok(flow.through(step))
}

/// Returns the bias of a layer with this number of `outputs`, if it has one.
fn bias(arguments: &Arguments<'_>, at: usize, outputs: usize) -> Result<Option<Vec<f64>>, String> {
    let Some(bias) = arguments.optional(at, "bias")? else {
        return Ok(None);
    };
    match bias.to_floats() {
        values if values.len() == outputs => Ok(Some(values)),
        values if values.len() == 1 => Ok(Some(vec![values[0]; outputs])),
        _ => Err(format!(
            "its bias has the shape {:?}, but there are {outputs} outputs: export the model again",
            bias.shape
        )),
    }
}

/// Returns the transpose of a matrix.
fn transposed(matrix: &Constant) -> Result<Constant, String> {
    let &[rows, columns] = matrix.shape.as_slice() else {
        return Err(format!(
            "its weight has the shape {:?}, but must be a matrix",
            matrix.shape
        ));
    };
    let from = (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
    Ok(matrix.gather(vec![columns, rows], from))
}

/// Returns the (channels, height, width) of a map that a convolution reads.
fn map(steps: &[Step], flow: &Flow) -> Result<[usize; 3], String> {
    steps[flow.step]
        .map_of(flow)
        .ok_or_else(|| super::maps::not_a_map(flow))
}
