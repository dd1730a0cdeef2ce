//! The f32 forward pass of a [`Network`]: the reference for every step after folding.
//!
//! Convolutions are computed weight by weight over whole rows of the map, so the cost is
//! proportional to the number of nonzero weights.

use super::network::{Layer, Network, Operation, covered, disjoint};
use crate::graph::{Pooling, Window};

impl Network {
    /// Returns the output of every layer, channel-major, for an image of raw pixels.
    ///
    /// # Panics
    /// Panics if the number of pixels is not that of the input.
    pub fn forward(&self, pixels: &[u8]) -> Vec<Vec<f32>> {
        let elements: usize = self.input.iter().product();
        assert_eq!(pixels.len(), elements, "number of pixels");
        let pixels: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel)).collect();
        let mut outputs: Vec<Vec<f32>> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let source = layer.source.map_or(&pixels, |source| &outputs[source]);
            let skip = layer.skip.map(|skip| outputs[skip].as_slice());
            outputs.push(layer.forward(source, self.shape(layer.source), skip));
        }
        outputs
    }

    /// Returns the class scores of an image of raw pixels.
    ///
    /// # Panics
    /// Panics if the number of pixels is not that of the input.
    pub fn scores(&self, pixels: &[u8]) -> Vec<f32> {
        self.forward(pixels).pop().unwrap_or_default()
    }
}

impl Layer {
    /// Returns the layer's output, channel-major, for a `source` of `shape` and the values of its
    /// skip, if it has one.
    ///
    /// # Panics
    /// Panics if their shapes do not fit the layer.
    pub fn forward(&self, source: &[f32], shape: [usize; 3], skip: Option<&[f32]>) -> Vec<f32> {
        let [_, height, width] = shape;
        let (mut values, size, pooling) = match self.operation {
            Operation::Pool { window, kind } => {
                return pool(source, [height, width], window, kind);
            }
            Operation::Dense => (self.dense(source), [1, 1], None),
            Operation::Conv { window, pooling } => {
                let values = self.convolve(source, [height, width], window);
                (values, window.outputs([height, width]), pooling)
            }
        };
        if let Some(skip) = skip {
            assert_eq!(values.len(), skip.len(), "skip of layer {}", self.name);
            values
                .iter_mut()
                .zip(skip)
                .for_each(|(value, add)| *value += add);
        }
        if self.relu {
            let clip = |value: &mut f32| *value = value.max(0.0).min(self.ceiling);
            values.iter_mut().for_each(clip);
        }
        match pooling {
            None => values,
            Some((kind, every)) => pool(&values, size, disjoint(every), kind),
        }
    }

    /// Returns W x + b.
    fn dense(&self, source: &[f32]) -> Vec<f32> {
        assert_eq!(source.len(), self.weights.cols(), "inputs of {}", self.name);
        let rows = self.weights.outer_iterator().zip(&self.bias);
        rows.map(|(row, bias)| {
            let products = row.iter().map(|(column, weight)| weight * source[column]);
            products.sum::<f32>() + bias
        })
        .collect()
    }

    /// Returns the convolution of maps of `size` (height, width), including the bias.
    fn convolve(&self, source: &[f32], size: [usize; 2], window: Window) -> Vec<f32> {
        let ([height, width], plane) = (window.outputs(size), size[0] * size[1]);
        let taps = window.taps();
        let inputs = self.weights.cols() / taps * plane;
        assert_eq!(source.len(), inputs, "inputs of {}", self.name);
        // Per row and column of the window, the output rows and columns for which it reads the map
        // rather than padding.
        let rows: Vec<_> = (0..window.size[0])
            .map(|tap| window.reading(0, tap, size[0], height))
            .collect();
        let columns: Vec<_> = (0..window.size[1])
            .map(|tap| window.reading(1, tap, size[1], width))
            .collect();
        let mut values = Vec::with_capacity(self.bias.len() * height * width);
        for (weights, &bias) in self.weights.outer_iterator().zip(&self.bias) {
            let start = values.len();
            values.resize(start + height * width, bias);
            let map = &mut values[start..];
            for (column, &weight) in weights.iter() {
                let (channel, tap) = (column / taps, column % taps);
                let [i, j] = window.place(tap);
                let run = columns[j].clone();
                if run.is_empty() {
                    continue;
                }
                for y in rows[i].clone() {
                    let from =
                        window.position(0, i, y) * size[1] + window.position(1, j, run.start);
                    let read = source[channel * plane + from..].iter();
                    let row = map[y * width..][run.clone()].iter_mut();
                    row.zip(read.step_by(window.stride[1]))
                        .for_each(|(value, x)| *value += weight * x);
                }
            }
        }
        values
    }
}

/// Returns the maximum or the mean of each window over maps of `size`, excluding padding.
fn pool(maps: &[f32], size: [usize; 2], window: Window, kind: Pooling) -> Vec<f32> {
    let outputs = window.outputs(size);
    let mut pooled = Vec::new();
    for map in maps.chunks_exact(size[0] * size[1]) {
        for (y, x) in (0..outputs[0]).flat_map(|y| (0..outputs[1]).map(move |x| (y, x))) {
            let rows = covered(window, 0, y, size);
            let columns = covered(window, 1, x, size);
            let count = rows.len() * columns.len();
            let read = rows.flat_map(|row| &map[row * size[1]..][columns.clone()]);
            pooled.push(match kind {
                Pooling::Max => read.fold(f32::NEG_INFINITY, |most, &value| most.max(value)),
                Pooling::Average => read.sum::<f32>() / count as f32,
            });
        }
    }
    pooled
}
