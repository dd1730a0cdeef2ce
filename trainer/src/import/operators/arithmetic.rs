//! Operators on single elements: ReLU, sums, and arithmetic with constants.

use crate::import::arguments::{Arguments, Value};
use crate::import::attributes as attribute;
use crate::import::flow::Flow;
use crate::import::step::{Action, Affine, Step};

/// Appends max(0, x).
pub(super) fn relu(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let flow = arguments.flow(0)?;
    let shape = steps[flow.step].shape.clone();
    let step = arguments.push(steps, &[flow.step], &shape, Action::Relu)?;
    Ok(flow.through(step))
}

/// Appends max(0, x) for a `Clip` without an upper bound.
pub(super) fn clip(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let bound = |at: usize, name: &str, default: f32| {
        let given = arguments
            .optional(at, "bound")?
            .map(|bound| bound.to_floats());
        let given = given.and_then(|bound| bound.first().copied());
        Ok::<f64, String>(
            given.unwrap_or_else(|| attribute::float(arguments.node, name, default).into()),
        )
    };
    let (least, most) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
    if least != 0.0 {
        return Err(format!(
            "it clips values below {least}: use ReLU, which clips them below 0"
        ));
    }
    if most < f64::from(f32::MAX) {
        return Err(format!(
            "it clips values above {most} (a ReLU{most}), which is not supported: train the network with ReLU"
        ));
    }
    relu(arguments, steps)
}

/// Appends max(0, x) for a `Max` with the constant 0.
pub(super) fn maximum(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let is_zero = |value: &Option<Value>| match value {
        Some(Value::Constant(constant)) => constant.to_floats().iter().all(|&value| value == 0.0),
        _ => false,
    };
    let position = |at: usize| matches!(arguments.get(at), Some(Value::Flow(_)));
    match (arguments.inputs.len(), position(0), position(1)) {
        (2, true, false) if is_zero(&arguments.inputs[1]) => relu(arguments, steps),
        _ => Err("it takes the maximum of values other than one and 0: use ReLU".into()),
    }
}

/// Appends a sum of two values, or arithmetic with a constant.
pub(super) fn combine(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let operator = arguments.node.op_type.as_str();
    let (flow, constant, is_second) = match (arguments.get(0), arguments.get(1)) {
        (Some(Value::Flow(a)), Some(Value::Flow(b))) => return sum(arguments, steps, a, b),
        (Some(Value::Flow(flow)), Some(Value::Constant(constant))) => (flow, constant, true),
        (Some(Value::Constant(constant)), Some(Value::Flow(flow))) => (flow, constant, false),
        _ => return Err("one of its inputs is missing: export the model again".into()),
    };
    let values = flow.broadcast(constant)?;
    let shape = steps[flow.step].shape.clone();
    let values = per_channel(&values, shape[0]).ok_or(
        "its constant differs between the positions of a channel: use one value per channel",
    )?;
    let count = values.len();
    let ones = || vec![1.0; count];
    let zeros = || vec![0.0; count];
    let negative = |values: Vec<f64>| values.into_iter().map(|value| -value).collect();
    let inverse = |values: Vec<f64>| values.into_iter().map(f64::recip).collect();
    let (scale, shift) = match (operator, is_second) {
        ("Add", _) => (ones(), values),
        ("Mul", _) => (values, zeros()),
        ("Sub", true) => (ones(), negative(values)),
        ("Sub", false) => (vec![-1.0; count], values),
        ("Div", true) => (inverse(values), zeros()),
        _ => {
            return Err("it divides by a value that depends on the input: change the model".into());
        }
    };
    let affine = Action::Affine(Affine { scale, shift });
    let step = arguments.push(steps, &[flow.step], &shape, affine)?;
    Ok(flow.through(step))
}

/// Appends the sum of two values of the same shape.
fn sum(
    arguments: &Arguments<'_>,
    steps: &mut Vec<Step>,
    a: &Flow,
    b: &Flow,
) -> Result<Flow, String> {
    if arguments.node.op_type != "Add" {
        return Err("it combines two values that depend on the input, but only sums are supported: change the model".into());
    }
    let shape = steps[a.step].shape.clone();
    if a.dims != b.dims || a.places != b.places || shape != steps[b.step].shape {
        return Err(format!(
            "it adds arrays of {:?} and {:?}, but both must have the same shape and order",
            a.dims, b.dims
        ));
    }
    let step = arguments.push(steps, &[a.step, b.step], &shape, Action::Add)?;
    Ok(a.through(step))
}

/// Returns the value of each channel if all its positions have the same.
fn per_channel(values: &[f64], channels: usize) -> Option<Vec<f64>> {
    let positions = values.len() / channels.max(1);
    let mut channels = values.chunks(positions.max(1));
    channels
        .all(|channel| channel.iter().all(|value| *value == channel[0]))
        .then(|| {
            values
                .chunks(positions.max(1))
                .map(|channel| channel[0])
                .collect()
        })
}
