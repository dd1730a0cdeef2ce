//! A node with the values of its inputs.

use std::rc::Rc;

use super::constant::{Constant, elements_within};
use super::flow::{Flow, MOST_FEATURES};
use super::proto::NodeProto;
use super::step::{Action, Origin, Step};

/// A value of the file.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A value that does not depend on the network's input.
    Constant(Rc<Constant>),
    /// A value that depends on the network's input.
    Flow(Flow),
}

impl From<Constant> for Value {
    fn from(constant: Constant) -> Self {
        Self::Constant(Rc::new(constant))
    }
}

/// A node with the values of its inputs.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    pub(super) node: &'a NodeProto,
    pub(super) inputs: Vec<Option<Value>>,
    pub(super) origin: Origin,
}

impl Arguments<'_> {
    /// Returns input `at`, if it is given.
    pub(super) fn get(&self, at: usize) -> Option<&Value> {
        self.inputs.get(at).and_then(Option::as_ref)
    }

    /// Returns input `at`, which must depend on the network's input.
    ///
    /// # Errors
    /// Returns the reason if it does not.
    pub(super) fn flow(&self, at: usize) -> Result<&Flow, String> {
        match self.get(at) {
            Some(Value::Flow(flow)) => Ok(flow),
            _ => {
                Err("it applies to a constant instead of the input: export the model again".into())
            }
        }
    }

    /// Returns input `at`, the node's `what`, if it is given; it must be constant.
    ///
    /// # Errors
    /// Returns the reason if it is not.
    pub(super) fn optional(&self, at: usize, what: &str) -> Result<Option<&Constant>, String> {
        match self.get(at) {
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(Value::Flow(_)) => Err(format!(
                "its {what} is computed from the input, but must be constant: change the model"
            )),
            None => Ok(None),
        }
    }

    /// Returns input `at`, the node's `what`, which must be constant.
    ///
    /// # Errors
    /// Returns the reason if it is missing or not constant.
    pub(super) fn constant(&self, at: usize, what: &str) -> Result<&Constant, String> {
        self.optional(at, what)?
            .ok_or_else(|| format!("its {what} is missing: export the model again"))
    }

    /// Appends a step that reads `sources`. Returns its index.
    ///
    /// # Errors
    /// Returns the reason if its output is too large.
    pub(super) fn push(
        &self,
        steps: &mut Vec<Step>,
        sources: &[usize],
        shape: &[usize],
        action: Action,
    ) -> Result<usize, String> {
        if elements_within(shape, MOST_FEATURES).is_none() {
            return Err(format!(
                "its output of {shape:?} has more than {MOST_FEATURES} elements: make it smaller"
            ));
        }
        steps.push(Step {
            origin: self.origin.clone(),
            sources: sources.to_vec(),
            shape: shape.to_vec(),
            action,
        });
        Ok(steps.len() - 1)
    }
}
