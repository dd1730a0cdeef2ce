//! Encoding the weights of a layer.

use alloc::vec::Vec;

use super::spec::{LayerSpec, WeightsSpec};
use crate::encoding::{self, Encoding, Unfit};
use crate::operation::Operation;

/// Encodes the biases and weights of a layer with `columns` columns.
pub(super) fn encode(spec: &LayerSpec, columns: usize) -> Result<Vec<u8>, Unfit> {
    match (&spec.weights, spec.encoding) {
        (WeightsSpec::None, Encoding::None) => Ok(Vec::new()),
        (WeightsSpec::Floats { bias, rows }, Encoding::CsrF32) => {
            encoding::csr_f32::write(bias, rows)
        }
        (WeightsSpec::Integers { bias, rows }, encoding) => match encoding {
            Encoding::Dense => encoding::dense::write(columns, bias, rows),
            Encoding::Csr => encoding::csr::write(bias, rows),
            Encoding::Words => encoding::words::write(columns, bias, rows),
            Encoding::Columns => encoding::columns::write(columns, bias, rows),
            Encoding::Rice => {
                let dense = matches!(spec.operation, Operation::Dense);
                encoding::rice::write(columns, bias, rows, dense)
            }
            Encoding::CsrF32 | Encoding::None => Err(Unfit::Operation),
        },
        _ => Err(Unfit::Operation),
    }
}
