//! Operators that read the network's input, by name.

mod arithmetic;
mod layers;
mod maps;
mod rearrange;

use super::arguments::{Arguments, Value};
use super::step::Step;

/// Computes the first output of a node that depends on the network's input.
///
/// # Errors
/// Returns the reason if Rarefy does not support the operator, or not in this form.
pub(super) fn compute(arguments: &Arguments<'_>, steps: &mut Vec<Step>) -> Result<Value, String> {
    let operator = match arguments.node.is_onnx() {
        true => arguments.node.op_type.as_str(),
        false => "",
    };
    let flow = match operator {
        "Shape" => return rearrange::shape(arguments),
        "Identity" | "Dropout" => arguments.flow(0).cloned(),
        "Cast" => rearrange::cast(arguments),
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => rearrange::reshape(arguments),
        "Transpose" => rearrange::transpose(arguments),
        "Conv" => layers::conv(arguments, steps),
        "Gemm" => layers::gemm(arguments, steps),
        "MatMul" => layers::product(arguments, steps),
        "BatchNormalization" => layers::norm(arguments, steps),
        "MaxPool" | "AveragePool" => maps::pool(arguments, steps),
        "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceMax" => {
            maps::global(arguments, steps)
        }
        "Pad" => maps::pad(arguments, steps),
        "Relu" => arithmetic::relu(arguments, steps),
        "Clip" => arithmetic::clip(arguments, steps),
        "Max" => arithmetic::maximum(arguments, steps),
        "Min" => arithmetic::minimum(arguments, steps),
        "Add" | "Sub" | "Mul" | "Div" => arithmetic::combine(arguments, steps),
        _ => Err(unsupported(operator)),
    };
    flow.map(Value::Flow)
}

/// Returns why an operator is not supported, and what to do.
fn unsupported(operator: &str) -> String {
    let reason = match operator {
        "" => {
            "Rarefy does not know operators of this domain: export the model with ONNX' own operators"
        }
        "LeakyRelu" | "PRelu" | "Elu" | "Selu" | "Celu" | "Gelu" | "Mish" | "HardSwish"
        | "Swish" | "HardSigmoid" | "Sigmoid" | "Tanh" | "Softplus" | "Softsign"
        | "ThresholdedRelu" | "Erf" => {
            "the only activation functions are ReLU and ReLU6: train the network with ReLU"
        }
        "Softmax" | "LogSoftmax" | "ArgMax" => {
            "it is supported only at the end of a network: remove it"
        }
        "QuantizeLinear"
        | "DequantizeLinear"
        | "QLinearConv"
        | "QLinearMatMul"
        | "ConvInteger"
        | "MatMulInteger"
        | "DynamicQuantizeLinear" => {
            "the network is quantized: import it in floats; `rarefy export` quantizes it"
        }
        "LSTM" | "GRU" | "RNN" | "Scan" | "Loop" | "If" => {
            "networks with recurrence or branches are not supported: use a feed-forward network"
        }
        "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "RMSNormalization"
        | "LRN" => "it normalises with the statistics of each sample: use batch norm instead",
        "Concat" | "Split" | "Slice" | "Gather" => {
            "parts of feature maps can be neither taken nor joined: use residual additions instead"
        }
        "ConvTranspose" | "Resize" | "Upsample" => {
            "feature maps cannot be enlarged: use a network without it"
        }
        _ => {
            "Rarefy does not support this operator: use convolutions, dense layers, pooling, batch norm, ReLU and residual additions"
        }
    };
    reason.into()
}
