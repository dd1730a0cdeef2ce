//! Computes operators whose inputs are all constant, such as those with which exporters compute the
//! shapes of reshapes.

use super::attributes as attribute;
use super::constant::{Constant, Type, Values, elements, lengths};
use super::proto::NodeProto;
use super::shapes::{
    axis, broadcasting, flattened, resolve, squeezed, strides, transposition, unsqueezed, walk,
};

/// The largest number of elements of an array that repeats one value: 2^20.
const MOST_FILLED: usize = 1 << 20;

/// Computes `node` from its constant `inputs`. Returns `None` if its operator is not supported on
/// constants.
///
/// # Errors
/// Returns the reason if the inputs do not fit the operator.
pub(super) fn evaluate(
    node: &NodeProto,
    inputs: &[Option<&Constant>],
) -> Option<Result<Constant, String>> {
    let input = |at: usize| {
        let found = inputs.get(at).copied().flatten();
        found.ok_or_else(|| String::from("one of its inputs is missing: export the model again"))
    };
    let axes = || match inputs.get(1).copied().flatten() {
        Some(axes) => axes.as_integers().map(Some),
        None => Ok(attribute::integers(node, "axes")),
    };
    let with_shape = |shape: Result<Vec<usize>, String>| {
        let constant = input(0)?;
        Ok(Constant {
            shape: shape?,
            values: constant.values.clone(),
        })
    };
    Some(match node.op_type.as_str() {
        "Constant" => attribute::constant(node),
        "Identity" => input(0).cloned(),
        "Shape" => input(0).map(|x| shape_of(node, &x.shape)),
        "Cast" => input(0).and_then(|x| cast(node, x)),
        "Gather" => input(0).and_then(|x| gather(node, x, input(1)?)),
        "Concat" => inputs
            .iter()
            .copied()
            .collect::<Option<Vec<_>>>()
            .map_or_else(
                || input(inputs.len()).cloned(),
                |parts| concat(node, &parts),
            ),
        "Slice" => input(0).and_then(|x| slice(node, x, inputs)),
        "Squeeze" => with_shape(input(0).and_then(|x| squeezed(&x.shape, axes()?))),
        "Unsqueeze" => {
            with_shape(input(0).and_then(|x| unsqueezed(&x.shape, axes()?.unwrap_or(&[]))))
        }
        "Flatten" => with_shape(
            input(0).and_then(|x| flattened(&x.shape, attribute::integer(node, "axis", 1))),
        ),
        "Reshape" => with_shape(input(0).and_then(|x| {
            let zeros = attribute::integer(node, "allowzero", 0) != 0;
            resolve(&x.shape, input(1)?.as_integers()?, zeros)
        })),
        "Transpose" => input(0).and_then(|x| {
            let (shape, from) = transposition(&x.shape, &permutation(node, x.shape.len())?)?;
            Ok(x.gather(shape, from))
        }),
        "Add" | "Sub" | "Mul" | "Div" => {
            input(0).and_then(|a| combine(&node.op_type, a, input(1)?))
        }
        "ConstantOfShape" => input(0).and_then(|shape| filled(node, shape)),
        _ => return None,
    })
}

/// Returns the result of a `Shape` node for an array of `shape`: `start` and `end` are clamped, as
/// ONNX specifies.
pub(super) fn shape_of(node: &NodeProto, shape: &[usize]) -> Constant {
    let rank = shape.len() as i64;
    let place = |name, default| {
        let number = attribute::integer(node, name, default);
        (if number < 0 { number + rank } else { number }).clamp(0, rank) as usize
    };
    let (start, end) = (place("start", 0), place("end", rank));
    let shape = shape.get(start..end).unwrap_or_default();
    Constant::integers(shape.iter().map(|&length| length as i64).collect())
}

/// Returns the permutation of a `Transpose` node of an array with `rank` axes: by default, it
/// reverses them.
///
/// # Errors
/// Returns the reason if it names an axis that does not exist.
pub(super) fn permutation(node: &NodeProto, rank: usize) -> Result<Vec<usize>, String> {
    match attribute::integers(node, "perm") {
        Some(perm) => perm.iter().map(|&number| axis(number, rank)).collect(),
        None => Ok((0..rank).rev().collect()),
    }
}

/// Converts the elements to another type. Floats keep their precision.
fn cast(node: &NodeProto, x: &Constant) -> Result<Constant, String> {
    let to = Type::of(attribute::integer(node, "to", 0) as i32)?;
    let values = match to.is_float() {
        true => Values::Floats(x.to_floats()),
        // As in C, floats are truncated.
        false => Values::Integers(match &x.values {
            Values::Floats(values) => values.iter().map(|&value| value as i64).collect(),
            Values::Integers(values) => values.clone(),
        }),
    };
    Ok(Constant {
        shape: x.shape.clone(),
        values,
    })
}

/// Selects entries along an axis.
fn gather(node: &NodeProto, x: &Constant, indices: &Constant) -> Result<Constant, String> {
    let along = axis(attribute::integer(node, "axis", 0), x.shape.len())?;
    let places: Vec<usize> = (indices.as_integers()?.iter())
        .map(|&index| axis(index, x.shape[along]))
        .collect::<Result<_, _>>()?;
    let (outer, inner) = (&x.shape[..along], &x.shape[along + 1..]);
    let block: usize = inner.iter().product();
    let length = x.shape[along];
    let rows = 0..outer.iter().product();
    let from: Vec<usize> = rows
        .flat_map(|row| {
            places
                .iter()
                .map(move |place| (row * length + place) * block)
        })
        .flat_map(|first| first..first + block)
        .collect();
    Ok(x.gather([outer, &indices.shape, inner].concat(), from.into_iter()))
}

/// Joins arrays along an axis.
fn concat(node: &NodeProto, parts: &[&Constant]) -> Result<Constant, String> {
    let first = parts
        .first()
        .ok_or("it has no inputs: export the model again")?;
    let along = axis(attribute::integer(node, "axis", 0), first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[along] = 0;
    for part in parts {
        let differs = |(at, length): (usize, &usize)| at != along && *length != first.shape[at];
        if part.shape.len() != shape.len() || part.shape.iter().enumerate().any(differs) {
            return Err(format!(
                "it joins arrays of {:?} and {:?}, which do not fit",
                first.shape, part.shape
            ));
        }
        shape[along] += part.shape[along];
    }
    elements(&shape)?;
    let outer: usize = shape[..along].iter().product();
    let mut integers = Vec::new();
    let mut floats = Vec::new();
    for row in 0..outer {
        for part in parts {
            let block = part.len() / outer.max(1);
            match &part.values {
                Values::Integers(values) => {
                    integers.extend_from_slice(&values[row * block..][..block]);
                }
                Values::Floats(values) => {
                    floats.extend_from_slice(&values[row * block..][..block]);
                }
            }
        }
    }
    match (integers.is_empty(), floats.is_empty()) {
        (_, true) => Ok(Constant {
            shape,
            values: Values::Integers(integers),
        }),
        (true, false) => Ok(Constant {
            shape,
            values: Values::Floats(floats),
        }),
        (false, false) => Err("it joins integers and floats: export the model again".into()),
    }
}

/// Selects a range along axes, in steps of 1.
fn slice(node: &NodeProto, x: &Constant, inputs: &[Option<&Constant>]) -> Result<Constant, String> {
    let list = |at: usize, name: &str| match inputs.get(at).copied().flatten() {
        Some(list) => list.as_integers().map(<[i64]>::to_vec).map(Some),
        None => Ok(attribute::integers(node, name).map(<[i64]>::to_vec)),
    };
    let starts = list(1, "starts")?.unwrap_or_default();
    let ends = list(2, "ends")?.unwrap_or_default();
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    if list(4, "steps")?.is_some_and(|steps| steps.iter().any(|&step| step != 1)) {
        return Err("it selects elements in steps: export the model again without it".into());
    }
    let mut ranges: Vec<(usize, usize)> = x.shape.iter().map(|&length| (0, length)).collect();
    for ((&start, &end), &number) in starts.iter().zip(&ends).zip(&axes) {
        let along = axis(number, x.shape.len())?;
        let length = x.shape[along] as i64;
        let place = |at: i64| {
            (if at < 0 {
                at.saturating_add(length)
            } else {
                at
            })
            .clamp(0, length) as usize
        };
        ranges[along] = (place(start), place(end).max(place(start)));
    }
    let strides = strides(&x.shape);
    let first: usize = ranges
        .iter()
        .zip(&strides)
        .map(|((start, _), stride)| start * stride)
        .sum();
    let shape: Vec<usize> = ranges.iter().map(|(start, end)| end - start).collect();
    Ok(x.gather(shape.clone(), walk(shape, strides).map(|at| first + at)))
}

/// Computes an arithmetic operator with broadcasting.
fn combine(operator: &str, a: &Constant, b: &Constant) -> Result<Constant, String> {
    let reason = || {
        format!(
            "it combines arrays of {:?} and {:?}, which do not fit",
            a.shape, b.shape
        )
    };
    let rank = a.shape.len().max(b.shape.len());
    let length = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .map_or(1, |axis| shape[axis])
    };
    let shape: Vec<usize> = (0..rank)
        .map(
            |axis| match (length(&a.shape, axis), length(&b.shape, axis)) {
                (1, other) => other,
                (own, _) => own,
            },
        )
        .collect();
    elements(&shape)?;
    let left = broadcasting(&a.shape, &shape).ok_or_else(reason)?;
    let right = broadcasting(&b.shape, &shape).ok_or_else(reason)?;
    let pairs = left.zip(right);
    let values = match (&a.values, &b.values) {
        (Values::Integers(a), Values::Integers(b)) => {
            let value = |(l, r): (usize, usize)| match operator {
                "Add" => a[l].checked_add(b[r]),
                "Sub" => a[l].checked_sub(b[r]),
                "Mul" => a[l].checked_mul(b[r]),
                _ => a[l].checked_div(b[r]),
            };
            let values: Option<Vec<i64>> = pairs.map(value).collect();
            Values::Integers(values.ok_or("its integers overflow: export the model again")?)
        }
        _ => {
            let (a, b) = (a.to_floats(), b.to_floats());
            let value = |(l, r): (usize, usize)| match operator {
                "Add" => a[l] + b[r],
                "Sub" => a[l] - b[r],
                "Mul" => a[l] * b[r],
                _ => a[l] / b[r],
            };
            Values::Floats(pairs.map(value).collect())
        }
    };
    Ok(Constant { shape, values })
}

/// Returns an array that repeats one value.
fn filled(node: &NodeProto, shape: &Constant) -> Result<Constant, String> {
    let shape = lengths(shape.as_integers()?)?;
    let length = elements(&shape)?;
    if length > MOST_FILLED {
        return Err(format!(
            "it makes an array of {shape:?} of one value: export the model again"
        ));
    }
    let value = node
        .attribute
        .iter()
        .find_map(|attribute| attribute.t.as_ref());
    let value = match value {
        Some(tensor) => Constant::read(tensor)?,
        None => Constant {
            shape: vec![1],
            values: Values::Floats(vec![0.0]),
        },
    };
    match value.len() {
        1 => Ok(value.gather(shape, std::iter::repeat_n(0, length))),
        _ => Err("it repeats more than one value: export the model again".into()),
    }
}
