"""Writes the fixtures of this folder: NAME.onnx by a real exporter, and NAME.safetensors with inputs `x` in the layout
that the network reads and the outputs `y` that onnxruntime computes before softmax. README.md has the versions.

    python make.py            # needs torch, onnxscript, tensorflow, tf2onnx, keras, onnxruntime, safetensors
"""
import os
import sys
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.filterwarnings("ignore")
import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.numpy import save_file
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
CLASSIFIERS = ("Softmax", "LogSoftmax", "ArgMax")


def save(name, model, channel_last=False):
    """Writes `model` and the logits of a few inputs. Rarefy reads inputs channel-first."""
    path = os.path.join(HERE, f"{name}.onnx")
    model.doc_string = ""
    for node in model.graph.node:
        # Traces of the exporting machine.
        node.doc_string = ""
        del node.metadata_props[:]
    for value in list(model.graph.value_info) + list(model.graph.input) + list(model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:]
    del model.graph.value_info[:]
    onnx.save(model, path)
    graph = model.graph
    shape = [max(axis.dim_value, 1) for axis in graph.input[0].type.tensor_type.shape.dim]
    rows = 8 if np.prod(shape) < 1000 else 2
    x = np.random.default_rng(3).normal(size=[rows, *shape[1:]]).astype(np.float32)
    wanted = graph.output[0].name
    for node in reversed(graph.node):
        if node.op_type in CLASSIFIERS and wanted in node.output:
            wanted = node.input[0]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.append(onnx.helper.make_tensor_value_info(wanted, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(probe.SerializeToString())
    logits = [session.run(None, {graph.input[0].name: row[None]})[0].reshape(1, -1) for row in x]
    read = np.moveaxis(x, -1, 1) if channel_last else x
    save_file({"x": np.ascontiguousarray(read.reshape(rows, -1)), "y": np.concatenate(logits)}, path[:-5] + ".safetensors")
    print(f"{name}: {os.path.getsize(path)} bytes,", " ".join(node.op_type for node in graph.node))


def settle(model, shape):
    """Gives batch norms statistics and parameters that are not the initial ones."""
    torch.manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.01, 2)
            module.weight.data.uniform_(-0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    return model.eval()


def torch_model(name, model, shape):
    model, x = settle(model, shape), torch.zeros(1, *shape)
    for exporter in ("old", "dynamo"):
        path = f"/tmp/{name}-{exporter}.onnx"
        axes = {"dynamic_axes": {"x": {0: "batch"}}} if exporter == "old" else {}
        torch.onnx.export(model, (x,), path, input_names=["x"], output_names=["y"], dynamo=exporter == "dynamo",
                          external_data=False, verbose=False, **axes)
        save(f"torch-{exporter}-{name}", onnx.load(path))


class LeNet5(nn.Module):
    """The example of PyTorch's tutorials: ReLU after pooling, `view`, dropout, log-softmax."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 8, 5)
        self.dropout = nn.Dropout(0.5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(8 * 5 * 5, 24), nn.Linear(24, 16), nn.Linear(16, 10)

    def forward(self, x):
        x = torch.relu(nn.functional.max_pool2d(self.conv1(x), 2))
        x = nn.functional.avg_pool2d(torch.relu(self.conv2(x)), 2)
        x = x.view(-1, x.shape[1] * x.shape[2] * x.shape[3])
        x = self.dropout(torch.relu(self.fc1(x)))
        return torch.log_softmax(self.fc3(torch.relu(self.fc2(x))), 1)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def resnet_8():
    """ResNet-8 of MLPerf Tiny, a quarter as wide."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), Block(4, 4, 1), Block(4, 8, 2),
                         Block(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


def ds_cnn():
    """DS-CNN of MLPerf Tiny (keyword spotting), narrow: depthwise and pointwise convolutions on a spectrogram."""
    def layer(*arguments, **options):
        convolution = nn.Conv2d(*arguments, bias=False, **options)
        return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()]

    blocks = [layer(8, 8, 3, padding=1, groups=8) + layer(8, 8, 1), layer(8, 16, (3, 1), (2, 1), groups=8) + layer(16, 12, 1, groups=4)]
    return nn.Sequential(*layer(1, 8, (10, 4), (2, 2), padding=(5, 1)), *blocks[0], *blocks[1], nn.MaxPool2d((3, 2), (2, 1), (1, 1)),
                         nn.AvgPool2d(3, 1, 1, count_include_pad=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10))


class Wide(nn.BatchNorm2d):
    """A batch norm whose outputs often exceed 6."""

    def forward(self, x):
        return super().forward(x) * 6


def mobile():
    """Parts of MobileNetV2: ReLU6, and a block with a depthwise convolution and a linear output that is added."""
    class Inverted(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Sequential(nn.Conv2d(6, 12, 1, bias=False), Wide(12), nn.ReLU6(),
                                      nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False), Wide(12), nn.ReLU6(),
                                      nn.Conv2d(12, 6, 1, bias=False), nn.BatchNorm2d(6))

        def forward(self, x):
            return x + self.wide(x)

    return nn.Sequential(nn.Conv2d(1, 6, 3, 2, padding=1, bias=False), Wide(6), nn.ReLU6(), Inverted(), nn.MaxPool2d(2), nn.ReLU6(),
                         nn.Flatten(), nn.Linear(150, 10))


def torch_models():
    torch_model("lenet-300-100", nn.Sequential(nn.Flatten(), nn.Linear(196, 30), nn.ReLU(), nn.Linear(30, 10),
                                               nn.ReLU(), nn.Linear(10, 10)), (1, 14, 14))
    torch_model("lenet-5", LeNet5(), (1, 28, 28))
    torch_model("ds-cnn", ds_cnn(), (1, 49, 10))
    torch_model("mobile", mobile(), (1, 20, 20))
    torch_model("resnet-8", resnet_8(), (3, 32, 32))
    # As `training=PRESERVE` leaves batch norms, which eval mode folds into convolutions.
    model = settle(resnet_8(), None)
    torch.onnx.export(model, (torch.zeros(1, 3, 32, 32),), "/tmp/kept.onnx", dynamo=False, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE, dynamic_axes={"x": {0: "b"}}, input_names=["x"])
    save("torch-old-resnet-8-norms", onnx.load("/tmp/kept.onnx"))
    model = settle(nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 4),
                                 nn.Softmax(1)), None)
    torch.onnx.export(model, (torch.zeros(1, 1, 8, 8),), "/tmp/kept.onnx", dynamo=False, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE, dynamic_axes={"x": {0: "b"}}, input_names=["x"])
    save("torch-old-mlp-norms", onnx.load("/tmp/kept.onnx"))


def keras_models():
    import keras
    import tf2onnx
    import tensorflow as tf
    from keras import layers
    keras.utils.set_random_seed(4)
    mlp = keras.Sequential([keras.Input((12, 12)), layers.Flatten(), layers.Dense(30), layers.BatchNormalization(),
                            layers.ReLU(), layers.Dropout(0.2), layers.Dense(10, activation="softmax")])
    cnn = keras.Sequential([keras.Input((16, 16, 3)),
                            layers.Conv2D(4, 3, padding="same", strides=2), layers.BatchNormalization(), layers.ReLU(),
                            layers.Conv2D(8, 3, padding="same", activation="relu"), layers.MaxPooling2D(2),
                            layers.Flatten(), layers.Dense(12, activation="relu"), layers.Dense(5)])

    def residual():
        inputs = keras.Input((16, 16, 3))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(inputs)))
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, padding="same")(x)))
        y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(y))
        y = layers.ReLU()(layers.add([y, layers.Conv2D(8, 1, 2, padding="same")(x)]))
        y = layers.Flatten()(layers.AveragePooling2D(8)(y))
        return keras.Model(inputs, layers.Dense(10, activation="softmax")(y))

    def separable():
        inputs = keras.Input((49, 10, 1))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, (10, 4), 2, padding="same")(inputs)))
        x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x)))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 1)(x)))
        x = layers.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=2, activation="relu")(x)
        x = layers.SeparableConv2D(12, (3, 1), activation="relu")(layers.MaxPooling2D((2, 1), padding="same")(x))
        return keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))

    def mobile():
        inputs = keras.Input((12, 12, 2))
        x = layers.ReLU(6.0)(layers.Conv2D(4, 3, 2, padding="same", kernel_initializer=keras.initializers.RandomNormal(stddev=2))(inputs))
        x = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
        return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))

    resnet = residual()
    for name, model in (("mlp", mlp), ("cnn", cnn), ("resnet", resnet), ("ds-cnn", separable()), ("mobile", mobile())):
        generator = np.random.default_rng(6)
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                units = layer.gamma.shape[0]
                layer.set_weights([generator.uniform(-0.5, 1.5, units), generator.normal(0, 0.3, units),
                                   generator.normal(0, 0.3, units), generator.uniform(0.01, 2, units)])
            elif layer.weights:
                *kernels, bias = layer.get_weights()
                layer.set_weights([*kernels, generator.normal(0, 0.3, bias.shape)])
        # tf2onnx 1.17 reads the names of Keras 2.
        model.output_names = ["y"]
        call = tf.function(lambda x, model=model: model(x, training=False),
                           input_signature=[tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.float32, name="x")])
        try:
            proto, _ = tf2onnx.convert.from_function(call, input_signature=call.input_signature, opset=17)
            save(f"tf2onnx-{name}", proto, len(model.inputs[0].shape) == 4)
        except Exception as error:
            print("tf2onnx", name, repr(error)[:300])
        try:
            model.export(f"/tmp/{name}.onnx", format="onnx", verbose=False)
            save(f"keras-{name}", onnx.load(f"/tmp/{name}.onnx"), len(model.inputs[0].shape) == 4)
        except Exception as error:
            print("keras", name, repr(error)[:300])


def written_models():
    """Forms of operators that no exporter above writes, node by node."""
    from onnx import TensorProto, helper, numpy_helper
    generator = np.random.default_rng(7)

    def constant(name, shape, low=-0.5, high=0.5):
        return numpy_helper.from_array(generator.uniform(low, high, shape).astype(np.float32), name)

    def list_of(name, *values):
        return numpy_helper.from_array(np.array(values, np.int64), name)

    def scalar(name, value):
        return numpy_helper.from_array(np.float32(value), name)

    def narrow(name, shape, kind):
        values = generator.uniform(-0.5, 0.5, int(np.prod(shape)))
        return helper.make_tensor(name, kind, shape, values)

    def model(name, shape, outputs, nodes, constants, channel_last=False):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *outputs])
        graph = helper.make_graph(nodes, "g", [x], [y], constants)
        save(f"written-{name}", helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
             channel_last)

    node = helper.make_node
    # Normalisation before a convolution, arithmetic around it, padding of its own and of `Pad`, weights in f16.
    model("first", [2, 9, 9], [3], [
        node("BatchNormalization", ["x", "s1", "b1", "m1", "v1"], ["a"], epsilon=0.1),
        node("Cast", ["w16"], ["w1"], to=TensorProto.FLOAT),
        node("Conv", ["a", "w1"], ["b"]), node("Sub", ["b", "c1"], ["c"]), node("Div", ["c", "c2"], ["d"]),
        node("Clip", ["d", "zero"], ["e"]),
        node("Pad", ["e", "pads"], ["f"]), node("Conv", ["f", "w2", "b2"], ["g"], strides=[2, 2], pads=[1, 0, 0, 1]),
        node("BatchNormalization", ["g", "s2", "b2", "m2", "v2"], ["h"], epsilon=0.01),
        node("Mul", ["c3", "h"], ["i"]), node("Sub", ["c4", "i"], ["j"]), node("Max", ["j", "zero"], ["k"]),
        node("GlobalMaxPool", ["k"], ["l"]), node("Squeeze", ["l", "axes"], ["m"]),
        node("Gemm", ["m", "w3", "b3"], ["n"], alpha=0.5, beta=2.0), node("Add", ["c5", "n"], ["y"]),
    ], [constant("s1", [2]), constant("b1", [2]), constant("m1", [2]), constant("v1", [2], 0.1, 1),
        narrow("w16", [4, 2, 3, 3], TensorProto.FLOAT16), constant("c1", [1, 4, 1, 1]), constant("c2", [4, 1, 1], 0.5, 1),
        scalar("zero", 0), list_of("pads", 0, 0, 1, 1, 0, 0, 1, 1), constant("w2", [5, 4, 3, 3]), constant("b2", [5]),
        constant("s2", [5]), constant("m2", [5]), constant("v2", [5], 0.1, 1), scalar("c3", 0.75), scalar("c4", 0.25),
        list_of("axes", 2, 3), constant("w3", [5, 3]), constant("b3", [3]), constant("c5", [1, 3])])
    # Channel-last maps, TensorFlow's padding, a mean over a map, weights in bf16 and f64, constants that are computed.
    model("last", [7, 7, 3], [4], [
        node("Transpose", ["x"], ["a"], perm=[0, 3, 1, 2]), node("Cast", ["w16"], ["w1"], to=TensorProto.FLOAT),
        node("Conv", ["a", "w1"], ["b"], auto_pad="SAME_LOWER", strides=[2, 2]), node("Relu", ["b"], ["c"]),
        node("Transpose", ["c"], ["d"], perm=[0, 2, 3, 1]), node("ReduceMean", ["d"], ["e"], axes=[1, 2], keepdims=0),
        node("Cast", ["w64"], ["w2"], to=TensorProto.FLOAT), node("Transpose", ["w2"], ["w3"]),
        node("MatMul", ["e", "w3"], ["f"]), node("Add", ["one", "half"], ["g"]), node("Mul", ["g", "one"], ["h"]),
        node("Sub", ["h", "half"], ["i"]), node("Div", ["i", "two"], ["j"]), node("Unsqueeze", ["j", "axis"], ["k"]),
        node("Add", ["f", "k"], ["y"]),
    ], [narrow("w16", [6, 3, 4, 4], TensorProto.BFLOAT16), narrow("w64", [4, 6], TensorProto.DOUBLE),
        constant("one", [4], 1, 2), constant("half", [4]), scalar("two", 2), list_of("axis", 0)], True)


if __name__ == "__main__":
    written_models()
    if sys.argv[1:] == ["written"]:
        sys.exit()
    if sys.argv[1:] != ["keras"]:
        torch_models()
    if sys.argv[1:] != ["torch"]:
        keras_models()
