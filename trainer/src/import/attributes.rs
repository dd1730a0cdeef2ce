//! The attributes of an operator.

use super::constant::Constant;
use super::proto::{AttributeProto, NodeProto};

/// Returns the attribute called `name`, if it is given.
fn find<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute
        .iter()
        .find(|attribute| attribute.name == name)
}

/// Returns the integer `name`, or `default`.
pub(super) fn integer(node: &NodeProto, name: &str, default: i64) -> i64 {
    find(node, name).map_or(default, |attribute| attribute.i)
}

/// Returns the float `name`, or `default`.
pub(super) fn float(node: &NodeProto, name: &str, default: f32) -> f32 {
    find(node, name).map_or(default, |attribute| attribute.f)
}

/// Returns the text `name`, or an empty string.
pub(super) fn text(node: &NodeProto, name: &str) -> String {
    find(node, name).map_or(String::new(), |attribute| {
        String::from_utf8_lossy(&attribute.s).into_owned()
    })
}

/// Returns the list of integers `name`, if it is given.
pub(super) fn integers<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    find(node, name).map(|attribute| attribute.ints.as_slice())
}

/// Returns the value of a `Constant` node.
///
/// # Errors
/// Returns the reason if the value is of an unsupported type.
pub(super) fn constant(node: &NodeProto) -> Result<Constant, String> {
    let (mut floats, mut values) = (None, None);
    for attribute in &node.attribute {
        match attribute.name.as_str() {
            "value" => {
                let tensor = attribute
                    .t
                    .as_ref()
                    .ok_or("it has no value: export the model again")?;
                return Constant::read(tensor);
            }
            "value_float" => floats = Some((vec![attribute.f], true)),
            "value_floats" => floats = Some((attribute.floats.clone(), false)),
            "value_int" => values = Some((vec![attribute.i], true)),
            "value_ints" => values = Some((attribute.ints.clone(), false)),
            _ => {}
        }
    }
    let shape = |length: usize, is_scalar: bool| if is_scalar { vec![] } else { vec![length] };
    match (floats, values) {
        (Some((floats, is_scalar)), _) => Ok(Constant {
            shape: shape(floats.len(), is_scalar),
            values: super::constant::Values::Floats(floats.into_iter().map(f64::from).collect()),
        }),
        (None, Some((values, is_scalar))) => Ok(Constant {
            shape: shape(values.len(), is_scalar),
            ..Constant::integers(values)
        }),
        (None, None) => {
            Err("its value is neither numbers nor a tensor: export the model again".into())
        }
    }
}
