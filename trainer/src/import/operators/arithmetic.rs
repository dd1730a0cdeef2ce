//! Operators on single elements: ReLU, sums, and arithmetic with constants.

use crate::import::arguments::{Arguments, Value};
use crate::import::attributes as attribute;
use crate::import::flow::Flow;
use crate::import::step::{Action, Affine, Clip, Step};

/// Appends max(0, x).
pub(super) fn relu(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    clipped(arguments, steps, Clip::Zero)
}

/// Appends a ReLU with these bounds.
fn clipped(arguments: &Arguments<'_>, steps: &mut Vec<Step>, clip: Clip) -> Result<Flow, String> {
    let flow = arguments.flow(0)?;
    let shape = steps[flow.step].shape.clone();
    let step = arguments.push(steps, &[flow.step], &shape, Action::Relu(clip))?;
    Ok(flow.through(step))
}

/// Appends a ReLU for a `Clip` from 0 to 6, or without an upper bound.
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
    match most {
        6.0 => clipped(arguments, steps, Clip::Six),
        _ if most >= f64::from(f32::MAX) => relu(arguments, steps),
        _ => Err(format!(
            "it clips values above {most}, but only a bound of 6 is supported: train the network with ReLU or ReLU6"
        )),
    }
}

/// Appends max(0, x) for a `Max` with the constant 0.
pub(super) fn maximum(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    match with_constant(arguments, 0.0) {
        true => relu(arguments, steps),
        false => Err("it takes the maximum of values other than one and 0: use ReLU".into()),
    }
}

/// Appends min(max(0, x), 6) for a `Min` with the constant 6 of a ReLU's output.
pub(super) fn minimum(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Flow, String> {
    let after_relu = match arguments.get(0) {
        Some(Value::Flow(flow)) => matches!(steps[flow.step].action, Action::Relu(_)),
        _ => false,
    };
    match after_relu && with_constant(arguments, 6.0) {
        true => clipped(arguments, steps, Clip::Six),
        false => Err(
            "it takes the minimum of values other than a ReLU's and 6: use ReLU or ReLU6".into(),
        ),
    }
}

/// Returns whether the node combines the network's values with the constant `number`.
fn with_constant(arguments: &Arguments<'_>, number: f64) -> bool {
    let is_number = |value: Option<&Value>| match value {
        Some(Value::Constant(constant)) => {
            constant.to_floats().iter().all(|&value| value == number)
        }
        _ => false,
    };
    let first = matches!(arguments.get(0), Some(Value::Flow(_)));
    arguments.inputs.len() == 2 && first && is_number(arguments.get(1))
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
