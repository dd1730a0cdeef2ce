//! Operators that rearrange values or change their type.

use crate::import::arguments::{Arguments, Value};
use crate::import::attributes as attribute;
use crate::import::constant::Type;
use crate::import::evaluate::{permutation, shape_of};
use crate::import::flow::Flow;
use crate::import::shapes::{flattened, squeezed, unsqueezed};

/// Returns the shape of a value, which is constant.
pub(super) fn shape(arguments: &Arguments<'_>) -> Result<Value, String> {
    let flow = arguments.flow(0)?;
    Ok(shape_of(arguments.node, &flow.dims).into())
}

/// Follows a conversion between types of floats, which keeps values.
pub(super) fn cast(arguments: &Arguments<'_>) -> Result<Flow, String> {
    let flow = arguments.flow(0)?;
    match Type::of(attribute::integer(arguments.node, "to", 0) as i32)?.is_float() {
        true => Ok(flow.clone()),
        false => Err("it rounds values to integers: export the network in floats".into()),
    }
}

/// Follows a change of shape.
pub(super) fn reshape(arguments: &Arguments<'_>) -> Result<Flow, String> {
    let (node, flow) = (arguments.node, arguments.flow(0)?);
    if node.op_type == "Flatten" {
        return flow.with_dims(flattened(&flow.dims, attribute::integer(node, "axis", 1))?);
    }
    if node.op_type == "Reshape" {
        let zeros = attribute::integer(node, "allowzero", 0) != 0;
        let target = arguments.constant(1, "shape")?;
        return flow.reshaped(target.as_integers()?, zeros);
    }
    let axes = match arguments.optional(1, "list of axes")? {
        Some(axes) => Some(axes.as_integers()?),
        None => attribute::integers(node, "axes"),
    };
    flow.with_dims(match node.op_type.as_str() {
        "Squeeze" => squeezed(&flow.dims, axes)?,
        _ => unsqueezed(&flow.dims, axes.unwrap_or(&[]))?,
    })
}

/// Follows a permutation of axes.
pub(super) fn transpose(arguments: &Arguments<'_>) -> Result<Flow, String> {
    let flow = arguments.flow(0)?;
    flow.transposed(&permutation(arguments.node, flow.dims.len())?)
}
