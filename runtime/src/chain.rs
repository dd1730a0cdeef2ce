//! Execution of a chain of dense layers, for builds without `maps`.

use core::ops::Range;

use rarefy_format::{DenseLayer, Model};

use crate::kernels::output::Output;
use crate::kernels::run_layer::RunLayer;
use crate::kernels::{self, ping_pong};

/// Runs all layers of `model`, which must be a chain of dense layers. Returns the range of the
/// logits in `arena`, or `None` if a layer does not fit the arena.
#[inline(always)]
pub(crate) fn run(model: &Model<'_>, input: &[u8], arena: &mut [u32]) -> Option<Range<usize>> {
    ping_pong::walk::<Dense>(model, input, arena)
}

/// Runs each layer with the kernel of its encoding.
struct Dense;

impl RunLayer for Dense {
    #[inline(always)]
    fn run(
        layer: DenseLayer<'_>,
        source: &[u8],
        write: &mut [u32],
        scratch: &mut [u32],
    ) -> Option<()> {
        let output = Output::new(write, layer.shift, layer.last);
        kernels::dense(layer.weights, layer.first, source, output, scratch)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use super::*;
    use crate::{Engine, networks};

    #[test]
    fn returns_the_logits_of_the_graph() {
        let compared = networks::each_multilayer(500, |seed, model, input| {
            let mut arena = vec![7; model.arena_words()];
            let logits = run(&model, input, &mut arena).unwrap();
            let mut other = vec![9; model.arena_words()];
            let expected = Engine::new(model).unwrap().infer(input, &mut other);
            let found: &[i32] = bytemuck::cast_slice(&arena[logits]);
            assert_eq!(found, expected.unwrap(), "seed {seed}");
        });
        assert!(compared > 400, "{compared}");
    }
}
