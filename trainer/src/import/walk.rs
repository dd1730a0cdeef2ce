//! Walks the nodes of a file in order and turns them into the steps of the normal form.

use std::collections::HashMap;

use super::arguments::{Arguments, Value};
use super::constant::Constant;
use super::evaluate::evaluate;
use super::flow::Flow;
use super::model::Model;
use super::operators;
use super::proto::NodeProto;
use super::step::{Action, Origin, Step};

/// An operator that cannot be imported, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) origin: Origin,
    pub(super) reason: String,
}

/// Returns the steps of `model`; the last one computes its output.
///
/// # Errors
/// Returns the node at fault and the reason if a node cannot be imported.
pub(super) fn walk(model: &Model) -> Result<Vec<Step>, Refusal> {
    let input = Step {
        origin: Origin::default(),
        sources: Vec::new(),
        shape: model.input.shape.clone(),
        action: Action::Input,
    };
    let mut steps = vec![input];
    let mut values: HashMap<&str, Value> = HashMap::new();
    values.insert(&model.input.name, Value::Flow(model.input.flow.clone()));
    let mut output = None;
    for node in &model.nodes {
        let refuse = |reason| Refusal {
            origin: origin(model, node),
            reason,
        };
        let inputs = inputs(model, node, &values).map_err(refuse)?;
        let arguments = Arguments {
            node,
            inputs,
            origin: origin(model, node),
        };
        let value = compute(&arguments, &mut steps).map_err(refuse)?;
        if node.output.contains(&model.output) {
            output = Some((arguments.origin, value.clone()));
        }
        // Other outputs, such as the mask of a dropout, are used only in training.
        let names = node.output.iter().filter(|name| !name.is_empty()).take(1);
        values.extend(names.map(|name| (name.as_str(), value.clone())));
    }
    match output {
        Some((origin, Value::Flow(flow))) => finish(steps, &flow)
            .map_err(|reason| Refusal { origin, reason }),
        Some((origin, Value::Constant(_))) => Err(Refusal {
            origin,
            reason: "its output is the network's, but does not depend on the input: export the model again".into(),
        }),
        None => Err(Refusal {
            origin: Origin::default(),
            reason: "the input is the output: export a network with layers".into(),
        }),
    }
}

/// Checks that `flow` can be the scores of classes, and drops the steps after it.
fn finish(mut steps: Vec<Step>, flow: &Flow) -> Result<Vec<Step>, String> {
    if !flow.in_order() {
        return Err("it reorders the class scores: export the model without it".into());
    }
    steps.truncate(flow.step + 1);
    Ok(steps)
}

/// Looks up the inputs of `node`.
fn inputs(
    model: &Model,
    node: &NodeProto,
    values: &HashMap<&str, Value>,
) -> Result<Vec<Option<Value>>, String> {
    let value = |name: &String| {
        if name.is_empty() {
            return Ok(None);
        }
        if let Some(value) = values.get(name.as_str()) {
            return Ok(Some(value.clone()));
        }
        let Some(tensor) = model.initialisers.get(name) else {
            return Err(format!(
                "it reads {name:?}, which no earlier node computes: export the model again"
            ));
        };
        let constant =
            Constant::read(tensor).map_err(|reason| format!("its input {name}: {reason}"))?;
        Ok(Some(constant.into()))
    };
    node.input.iter().map(value).collect()
}

/// Returns where the steps of `node` come from.
fn origin(model: &Model, node: &NodeProto) -> Origin {
    let first = || node.output.first().cloned().unwrap_or_default();
    let parameter = node
        .input
        .get(1)
        .filter(|name| model.initialisers.contains_key(*name));
    Origin {
        node: if node.name.is_empty() {
            first()
        } else {
            node.name.clone()
        },
        operator: match node.is_onnx() {
            true => node.op_type.clone(),
            false => format!("{}.{}", node.domain, node.op_type),
        },
        parameter: parameter.cloned(),
    }
}

/// Computes the first output of a node: a constant, or the flow of a step that may be appended.
fn compute(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Value, String> {
    let constants: Option<Vec<Option<&Constant>>> = (arguments.inputs.iter())
        .map(|input| match input {
            None => Some(None),
            Some(Value::Constant(constant)) => Some(Some(&**constant)),
            Some(Value::Flow(_)) => None,
        })
        .collect();
    if let Some(constants) = constants
        && arguments.node.is_onnx()
    {
        let value = evaluate(arguments.node, &constants);
        let value = value.unwrap_or_else(|| {
            Err("Rarefy does not compute this operator of constants: simplify the model (onnxsim) or export it again".into())
        });
        return value.map(Value::from);
    }
    operators::compute(arguments, steps)
}
