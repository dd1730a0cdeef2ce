//! The groups of a network, and their passes in a training step.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Result;
use pulp::Arch;

use super::Parameters;
use super::backward::Backward;
use super::forward::Forward;
use super::group::{Group, Head};
use super::operands::Operands;
use super::room::{GroupRoom, Room};

/// The groups of a network.
#[derive(Debug)]
pub(super) struct Groups {
    /// The groups, each after those that it reads. The last one computes the class scores.
    pub(super) all: Vec<Arc<Group>>,
    /// Per group, the group that computes each of its sources; `None` for the input.
    sources: Vec<Vec<Option<usize>>>,
    /// The memory of finished steps, for reuse.
    rooms: Mutex<Vec<Room>>,
}

impl Groups {
    /// Creates the network of the groups `all`, each after those that it reads.
    pub(super) fn new(all: Vec<Arc<Group>>) -> Self {
        let maker = |node: &usize| all.iter().position(|group| group.output == *node);
        let sources = |group: &Arc<Group>| group.sources.iter().map(maker).collect();
        Self {
            sources: all.iter().map(sources).collect(),
            rooms: Mutex::default(),
            all,
        }
    }

    /// Returns the memory for a step, with the values of `parameters` copied into it.
    pub(super) fn room(&self, parameters: Parameters<'_>) -> Result<Room> {
        let room = self
            .rooms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut room = room.unwrap_or_default();
        room.groups.resize_with(self.all.len(), GroupRoom::default);
        for (group, room) in self.all.iter().zip(&mut room.groups) {
            room.operands.load(parameters, group)?;
        }
        Ok(room)
    }

    /// Takes back the memory of a finished step for reuse.
    pub(super) fn take_back(&self, room: Room) {
        self.rooms
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(room);
    }

    /// Runs the forward passes for the inputs `x` (inputs, batch), with the results in `room`.
    pub(super) fn forward(&self, room: &mut Room, x: &[f32], batch: usize) {
        for (at, (group, sources)) in self.all.iter().zip(&self.sources).enumerate() {
            let (before, rest) = room.groups.split_at_mut(at);
            let GroupRoom {
                operands, passed, ..
            } = &mut rest[0];
            passed.fit(group, batch, true);
            let sources = sources.iter().map(|&source| output(before, source, x));
            let mut sources = sources.chain([x]);
            Arch::new().dispatch(Forward {
                group,
                operands,
                norm: None,
                batch,
                x: sources.next().unwrap_or(x),
                other: sources.next().unwrap_or(x),
                passed,
                spare: &mut room.spare,
            });
        }
    }

    /// Runs the backward passes, given the gradient of the last group's output in its room, and
    /// returns the gradients of the parameters of each group.
    pub(super) fn backward(&self, room: &mut Room, x: &[f32], batch: usize) -> Vec<Operands> {
        let mut gradients = Vec::with_capacity(self.all.len());
        for (at, (group, sources)) in self.all.iter().zip(&self.sources).enumerate().rev() {
            let (before, rest) = room.groups.split_at_mut(at);
            let GroupRoom {
                operands,
                passed,
                gradient,
            } = &mut rest[0];
            gradients.push(
                Arch::new().dispatch(Backward {
                    group,
                    operands,
                    passed,
                    batch,
                    x: sources
                        .first()
                        .map_or(x, |&source| output(before, source, x)),
                    dy: gradient,
                    input_gradient: sources.iter().any(Option::is_some),
                    spare: &mut room.spare,
                }),
            );
            // This gradient has been used. The buffer is emptied, because the next step adds to
            // what it holds.
            gradient.clear();
            let passed_on = match *group.head {
                Head::Dense(_) | Head::Conv(_) => &mut room.spare.source,
                Head::Same | Head::Sum => &mut room.spare.units,
            };
            let mut makers = sources.iter().flatten().peekable();
            while let Some(&maker) = makers.next() {
                let sum = &mut before[maker].gradient;
                match (sum.is_empty(), makers.peek()) {
                    (true, None) => std::mem::swap(sum, passed_on),
                    (true, Some(_)) => sum.extend_from_slice(passed_on),
                    (false, _) => {
                        let pairs = sum.iter_mut().zip(&*passed_on);
                        pairs.for_each(|(sum, gradient)| *sum += gradient);
                    }
                }
            }
        }
        gradients.reverse();
        gradients
    }
}

/// Returns the output of the group `source` of `groups`; `x` if it is the input.
fn output<'a>(groups: &'a [GroupRoom], source: Option<usize>, x: &'a [f32]) -> &'a [f32] {
    match source {
        None => x,
        Some(source) => &groups[source].passed.output,
    }
}
