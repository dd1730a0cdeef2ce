//! Merges the steps of a network into the layers of an architecture file, each with the batch norm
//! and the ReLU that follow it.

use super::step::{Action, Affine, Clip, Kernel, Norm, Origin, Sliding, Step};
use super::walk::Refusal;
use crate::graph::Pooling;

/// A layer of an architecture file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    /// The step that it begins with.
    pub(super) first: Step,
    /// The layers that it reads; `None` is the input.
    pub(super) sources: Vec<Option<usize>>,
    /// What it computes.
    pub(super) kind: Kind,
    /// Its batch norm, if it has one.
    pub(super) norm: Option<Norm>,
    /// The ReLU that follows, if there is one.
    pub(super) relu: Option<Clip>,
}

/// The type of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Conv(Kernel, Sliding),
    Dense(Kernel),
    Pool(Pooling, Sliding),
    Add,
}

/// Merges `steps`, of which the last computes the class scores.
///
/// # Errors
/// Returns the step at fault and the reason if a step does not belong to a layer.
pub(super) fn merge(steps: Vec<Step>) -> Result<Vec<Layer>, Refusal> {
    let mut readers = vec![0; steps.len()];
    if let Some(last) = readers.last_mut() {
        *last = 1;
    }
    for index in (0..steps.len()).rev() {
        if readers[index] > 0 {
            steps[index]
                .sources
                .iter()
                .for_each(|&source| readers[source] += 1);
        }
    }
    let mut merger = Merger {
        layers: Vec::new(),
        ends: Vec::new(),
        readers,
    };
    let mut last = Origin::default();
    for (index, step) in steps.into_iter().enumerate() {
        last = step.origin.clone();
        let end = match merger.readers[index] {
            0 => Ok(End::default()),
            _ => merger.step(step),
        };
        let origin = last.clone();
        merger
            .ends
            .push(end.map_err(|reason| Refusal { origin, reason })?);
    }
    match merger.output() {
        Ok(()) => Ok(merger.layers),
        Err(reason) => Err(Refusal {
            origin: last,
            reason,
        }),
    }
}

/// Where the output of a step comes from.
#[derive(Debug, Clone, Default)]
struct End {
    /// The layer; `None` is the input.
    layer: Option<usize>,
    /// The scale and shift that layers must apply when they read it, and the step that they come
    /// from.
    pending: Option<(Affine, String)>,
}

/// Layers under construction.
struct Merger {
    layers: Vec<Layer>,
    /// For each step so far, where its output comes from.
    ends: Vec<End>,
    /// For each step, the number of steps that read it.
    readers: Vec<usize>,
}

impl Merger {
    /// Checks that the last step computes class scores: those of a dense layer without a ReLU.
    fn output(&self) -> Result<(), String> {
        let end = self.ends.last().cloned().unwrap_or_default();
        if end.pending.is_some() {
            return Err(
                "it scales or shifts after the last layer: export the network without it".into(),
            );
        }
        let Some(layer) = end.layer.map(|layer| &self.layers[layer]) else {
            return Err(
                "the network has no layers: export one with a dense layer at its end".into(),
            );
        };
        match &layer.kind {
            Kind::Dense(_) if layer.relu.is_some() => Err("it clips the class scores: end the network without a ReLU".into()),
            Kind::Dense(_) => Ok(()),
            _ => Err("it belongs to the last layer, but class scores must come from a dense layer: end the network with one".into()),
        }
    }

    /// Adds a step. Returns where its output comes from.
    fn step(&mut self, step: Step) -> Result<End, String> {
        match &step.action {
            Action::Input => Ok(End::default()),
            Action::Conv(kernel, window) => {
                let (mut kernel, window) = (kernel.clone(), *window);
                if let Some((affine, by)) = &self.ends[step.sources[0]].pending {
                    if window.padding != [[0; 2]; 2] && affine.shift.iter().any(|&shift| shift != 0.0) {
                        return Err(format!(
                            "it pads with zeros what {by} has shifted: move that operator behind it, or use no padding"
                        ));
                    }
                    kernel.scale_inputs(affine);
                }
                Ok(self.push(step, Kind::Conv(kernel, window)))
            }
            Action::Dense(kernel) => {
                let mut kernel = kernel.clone();
                if let Some((affine, _)) = &self.ends[step.sources[0]].pending {
                    kernel.scale_inputs(affine);
                }
                Ok(self.push(step, Kind::Dense(kernel)))
            }
            Action::Pad(_) => Err(
                "only a convolution can take over its padding: pad within the operator that reads it".into(),
            ),
            Action::Pool(kind, window) => {
                self.nothing_pending(&step)?;
                let kind = Kind::Pool(*kind, *window);
                Ok(self.push(step, kind))
            }
            Action::Add => {
                self.nothing_pending(&step)?;
                Ok(self.push(step, Kind::Add))
            }
            Action::Relu(clip) => {
                let clip = *clip;
                self.nothing_pending(&step)?;
                self.relu(step.sources[0], clip)
            }
            Action::Affine(affine) => Ok(self.affine(&step, affine.clone(), None)),
            Action::Norm(norm) => Ok(self.affine(&step, norm.to_affine(), Some(norm.clone()))),
        }
    }

    /// Appends a layer that begins with `step`.
    fn push(&mut self, step: Step, kind: Kind) -> End {
        let sources = step
            .sources
            .iter()
            .map(|&source| self.ends[source].layer)
            .collect();
        self.layers.push(Layer {
            first: step,
            sources,
            kind,
            norm: None,
            relu: None,
        });
        End {
            layer: Some(self.layers.len() - 1),
            pending: None,
        }
    }

    /// Checks that `step` reads no value that is still to be scaled or shifted.
    fn nothing_pending(&self, step: &Step) -> Result<(), String> {
        let mut pending = step
            .sources
            .iter()
            .filter_map(|&source| self.ends[source].pending.as_ref());
        match pending.next() {
            None => Ok(()),
            Some((_, by)) => Err(format!(
                "it reads the output of {by}, but scaling or normalisation must directly follow or precede a convolution or dense layer: change their order"
            )),
        }
    }

    /// Adds a ReLU with these bounds after step `source`.
    fn relu(&mut self, source: usize, clip: Clip) -> Result<End, String> {
        let end = self.ends[source].clone();
        let is_only = self.readers[source] == 1;
        let Some(index) = end.layer else {
            return Err("it applies to the input: remove it".into());
        };
        if self.clip_of(index) >= Some(clip) {
            return Ok(end);
        }
        // ReLU and the maximum commute.
        let mut layer = index;
        while let Kind::Pool(Pooling::Max, _) = self.layers[layer].kind {
            match self.layers[layer].sources[0] {
                Some(before) if self.read_once(layer) => layer = before,
                _ => {
                    return Err(
                        "it follows pooling of a value that others read: apply ReLU before pooling"
                            .into(),
                    );
                }
            }
        }
        if matches!(self.layers[layer].kind, Kind::Pool(..)) {
            return Err("it follows average pooling: apply ReLU before pooling".into());
        }
        if !is_only {
            return Err(
                "another operator reads its input before the ReLU: apply ReLU for both".into(),
            );
        }
        self.layers[layer].relu = Some(clip);
        Ok(end)
    }

    /// Returns the ReLU that follows `layer` or, if it is pooling, the layer that it pools.
    fn clip_of(&self, mut layer: usize) -> Option<Clip> {
        while let Kind::Pool(..) = self.layers[layer].kind
            && let Some(before) = self.layers[layer].sources[0]
        {
            layer = before;
        }
        self.layers[layer].relu
    }

    /// Returns whether nothing but the pooling layer `pool` reads the layer before it.
    fn read_once(&self, pool: usize) -> bool {
        self.readers[self.layers[pool].first.sources[0]] == 1
    }

    /// Adds a multiplication and an addition per channel (`norm` if they are a batch norm): to the
    /// layer before them if possible, otherwise to the layers after them.
    fn affine(&mut self, step: &Step, affine: Affine, norm: Option<Norm>) -> End {
        let source = step.sources[0];
        let end = self.ends[source].clone();
        if let (Some(index), None, 1) = (end.layer, &end.pending, self.readers[source]) {
            let layer = &mut self.layers[index];
            if let (Kind::Conv(kernel, _) | Kind::Dense(kernel), false) =
                (&mut layer.kind, layer.relu.is_some())
            {
                match (&mut layer.norm, norm) {
                    (None, Some(norm)) => layer.norm = Some(norm),
                    (None, None) => kernel.scale_outputs(&affine),
                    (Some(before), _) => before.affine = before.affine.then(&affine),
                }
                return end;
            }
        }
        let affine = match &end.pending {
            Some((before, _)) => before.then(&affine),
            None => affine,
        };
        End {
            pending: Some((affine, step.origin.shown())),
            ..end
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a step of `action` on the steps `sources`.
    fn step(sources: &[usize], shape: &[usize], action: Action) -> Step {
        Step {
            origin: Origin::default(),
            sources: sources.to_vec(),
            shape: shape.to_vec(),
            action,
        }
    }

    /// Returns a layer that multiplies by `weights`, of this shape.
    fn kernel(shape: &[usize], weights: &[f64]) -> Kernel {
        Kernel {
            shape: shape.to_vec(),
            groups: 1,
            weights: weights.to_vec(),
            bias: None,
        }
    }

    /// Returns a window of this size and stride.
    fn window(size: usize) -> Sliding {
        Sliding {
            kernel: [size; 2],
            stride: [size; 2],
            padding: [[0; 2]; 2],
        }
    }

    /// Merges x * scale + shift, per channel, before a convolution whose two groups each multiply
    /// one channel by two weights.
    #[test]
    fn scales_and_shifts_move_into_the_channels_of_their_group() {
        let affine = Affine {
            scale: vec![2.0, 3.0],
            shift: vec![5.0, 7.0],
        };
        let grouped = Kernel {
            groups: 2,
            ..kernel(&[4, 1, 1, 1], &[1.0, 10.0, 100.0, 1000.0])
        };
        let steps = vec![
            step(&[], &[2, 1, 1], Action::Input),
            step(&[0], &[2, 1, 1], Action::Affine(affine)),
            step(&[1], &[4, 1, 1], Action::Conv(grouped, window(1))),
            step(&[2], &[1], Action::Dense(kernel(&[1, 4], &[1.0; 4]))),
        ];
        let layers = merge(steps).unwrap();
        let Kind::Conv(merged, _) = &layers[0].kind else {
            panic!("{layers:?}");
        };
        assert_eq!(merged.weights, [2.0, 20.0, 300.0, 3000.0]);
        assert_eq!(merged.bias, Some(vec![5.0, 50.0, 700.0, 7000.0]));
    }

    #[test]
    fn relus_move_before_maxima_and_repetitions_vanish() {
        let conv = Action::Conv(kernel(&[1, 1, 1, 1], &[2.0]), window(1));
        let steps = vec![
            step(&[], &[1, 4, 4], Action::Input),
            step(&[0], &[1, 4, 4], conv),
            step(&[1], &[1, 2, 2], Action::Pool(Pooling::Max, window(2))),
            step(&[2], &[1, 2, 2], Action::Relu(Clip::Zero)),
            step(&[3], &[1, 1, 1], Action::Pool(Pooling::Average, window(2))),
            step(&[4], &[1, 1, 1], Action::Relu(Clip::Zero)),
            step(&[5], &[1], Action::Dense(kernel(&[1, 1], &[3.0]))),
        ];
        let layers = merge(steps).unwrap();
        let relus: Vec<bool> = layers.iter().map(|layer| layer.relu.is_some()).collect();
        assert_eq!(relus, [true, false, false, false]);
        let sources: Vec<_> = layers.iter().map(|layer| layer.sources[0]).collect();
        assert_eq!(sources, [None, Some(0), Some(1), Some(2)]);
    }

    /// Merges x * 2 + 3 before the layer and x * 5 + 7 after it: (x * 2 + 3) * 4 * 5 + 7.
    #[test]
    fn scales_and_shifts_move_into_the_layer() {
        let affine = |scale, shift| {
            Action::Affine(Affine {
                scale: vec![scale],
                shift: vec![shift],
            })
        };
        let steps = vec![
            step(&[], &[1, 1, 1], Action::Input),
            step(&[0], &[1, 1, 1], affine(2.0, 3.0)),
            step(&[1], &[1], Action::Dense(kernel(&[1, 1], &[4.0]))),
            step(&[2], &[1], affine(5.0, 7.0)),
        ];
        let layers = merge(steps).unwrap();
        let Kind::Dense(merged) = &layers[0].kind else {
            panic!("{layers:?}");
        };
        assert_eq!((&merged.weights[..], layers.len()), (&[40.0][..], 1));
        assert_eq!(merged.bias, Some(vec![67.0]));
    }
}
