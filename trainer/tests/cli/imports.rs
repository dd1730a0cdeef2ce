//! `rarefy import`: what it writes, and what it says about files that it cannot import.

use std::fs;
use std::path::Path;

use crate::file::{Message, float, floats, graph, int, integers, ints, model, node, value};
use crate::program::{json, misused, refused, run, says, texts};

/// Writes a fixture of `tests/onnx` to `net.onnx` in `folder`.
fn fixture(folder: &Path, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/onnx")
        .join(name);
    fs::copy(from, folder.join("net.onnx")).unwrap();
}

/// Writes `model` to `net.onnx` in `folder` and checks that its import fails with `words`.
fn refuses(folder: &Path, model: &Message, words: &[&str]) {
    fs::write(folder.join("net.onnx"), model).unwrap();
    let words: Vec<&str> = ["net.onnx"].iter().chain(words).copied().collect();
    refused(folder, "import net.onnx -o net", &words);
}

#[test]
fn an_imported_network_is_taken_by_the_other_commands() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fixture(folder, "torch-old-lenet-5.onnx");
    let imported = json(folder, "import net.onnx -o a/net");
    assert_eq!(imported["arch"], "net");
    assert_eq!(imported["input"], serde_json::json!([1, 28, 28]));
    assert_eq!(
        (&imported["classes"], &imported["total"]),
        (&10.into(), &6244.into())
    );
    assert_eq!(imported["tensors"][1]["name"], "conv2.weight");
    says(
        imported["notes"][0].as_str().unwrap(),
        &["LogSoftmax", "left out"],
    );
    let arch = "a/net/arch.toml";
    assert_eq!(json(folder, &format!("arch {arch}"))["total"], 6244);
    let weights = "--weights a/net/weights.safetensors";
    let pruned = json(
        folder,
        &format!("prune --arch {arch} {weights} --pruner magnitude/global --compression 10"),
    );
    let kept = pruned["effective"]["nonzeros"].as_u64().unwrap();
    assert!((624..700).contains(&kept), "{pruned}");
    let train = format!("train --arch {arch} {weights} --after finetune --mean 0 --std 1");
    let trained = json(
        folder,
        &format!("{train} --compression 4 --epochs 1 -o run"),
    );
    assert!(trained["accuracy"]["dense"].is_number(), "{trained}");

    // An existing network is not replaced.
    refused(
        folder,
        "import net.onnx -o a/net",
        &["a/net/arch.toml", "overwritten", "-o"],
    );
    let output = run(folder, "import net.onnx -o b");
    let (stdout, stderr) = texts(&output);
    says(
        &stdout,
        &[
            "6,244 prunable weights",
            "b/weights.safetensors",
            "Next: rarefy arch b",
        ],
    );
    says(&stderr, &["note: LogSoftmax at the end is left out"]);
    refused(
        folder,
        "import missing.onnx -o c",
        &["missing.onnx", "No such file"],
    );
}

#[test]
fn an_imported_network_is_exported_without_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fixture(folder, "torch-dynamo-lenet-5.onnx");
    json(folder, "import net.onnx -o net");
    let export = "export net --data digits --mean 0 --std 1 --allow-loss";
    let exported = json(
        folder,
        &format!("{export} --weights int8 --encoding dense -o model.rfy"),
    );
    assert_eq!(exported["total"], 6244);
    assert!(
        exported["stripping_error"].as_f64().unwrap() < 1e-4,
        "{exported}"
    );
    let accuracy = json(folder, "eval model.rfy --data digits");
    assert_eq!(accuracy["accuracy"], exported["accuracy"]["deployed"]);
    misused(
        folder,
        "export net -o other.rfy",
        &["net", "without a run", "--data"],
    );
    misused(
        folder,
        "export net --data missing -o other.rfy",
        &["missing"],
    );
    fixture(folder, "keras-mlp.onnx");
    json(folder, "import net.onnx -o mlp");
    misused(
        folder,
        "export mlp --data digits -o other.rfy",
        &["digits", "[1, 28, 28]", "[1, 12, 12]"],
    );
    fs::remove_file(folder.join("mlp/arch.toml")).unwrap();
    refused(folder, "export mlp --data digits -o other.rfy", &["mlp"]);
    fs::create_dir(folder.join("run")).unwrap();
    fs::write(folder.join("run/run.toml"), "").unwrap();
    misused(
        folder,
        "export run --mean 0 -o other.rfy",
        &["--mean", "recorded", "run"],
    );
}

/// Puts each of twenty-four operators between two dense layers.
#[test]
fn an_unsupported_operator_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (operator, advice) in [
        ("LeakyRelu", "train the network with ReLU"),
        ("PRelu", "train the network with ReLU"),
        ("Sigmoid", "train the network with ReLU"),
        ("Tanh", "train the network with ReLU"),
        ("Elu", "train the network with ReLU"),
        ("Gelu", "train the network with ReLU"),
        ("HardSwish", "train the network with ReLU"),
        ("Softmax", "only at the end"),
        ("LayerNormalization", "use batch norm instead"),
        ("InstanceNormalization", "use batch norm instead"),
        ("LRN", "use batch norm instead"),
        ("QuantizeLinear", "import it in floats"),
        ("QLinearMatMul", "import it in floats"),
        ("LSTM", "feed-forward"),
        ("GRU", "feed-forward"),
        ("If", "feed-forward"),
        ("Concat", "residual additions"),
        ("Split", "residual additions"),
        ("ConvTranspose", "cannot be enlarged"),
        ("Resize", "cannot be enlarged"),
        ("Sqrt", "does not support this operator"),
        ("Pow", "does not support this operator"),
        ("Einsum", "does not support this operator"),
        ("Attention", "does not support this operator"),
    ] {
        let nodes = [
            node("Gemm", &["x", "w"], "a", &[]),
            node(operator, &["a"], "b", &[]),
            node("Gemm", &["b", "v"], "y", &[]),
        ];
        let weights = [
            floats("w", &[3, 2], &[1.0; 6]),
            floats("v", &[2, 2], &[1.0; 4]),
        ];
        let model = model(&graph(&[0, 3], &nodes, &weights), 17);
        let shown = format!("node /{operator} ({operator}): ");
        refuses(folder, &model, &[&shown, advice]);
    }
}

/// Tries supported operators in forms that an architecture cannot describe.
#[test]
fn an_unsupported_form_of_an_operator_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let kernel = |name: &str, shape: [i64; 4]| {
        floats(
            name,
            &shape,
            &vec![0.5; shape.iter().product::<i64>() as usize],
        )
    };
    let zero = || floats("zero", &[], &[0.0]);
    let five = || floats("five", &[], &[5.0]);
    let four = || floats("four", &[4], &[0.5; 4]);
    let conv = |attributes: &[Message]| node("Conv", &["x", "w"], "a", attributes);
    let w = || kernel("w", [4, 2, 3, 3]);
    // Nodes, weights, and the number of values after them, which the last layer reads.
    type Case<'a> = (Vec<Message>, Vec<Message>, usize, &'a [&'a str]);
    let cases: Vec<Case<'_>> = vec![
        (
            vec![conv(&[ints("pads", &[1, 1])])],
            vec![w()],
            144,
            &["(Conv)", "its pads is [1, 1], but must be four numbers"],
        ),
        (
            vec![conv(&[ints("kernel_shape", &[5, 5])])],
            vec![w()],
            144,
            &[
                "(Conv)",
                "its kernel_shape is [5, 5], but its weight is 3 x 3",
            ],
        ),
        (
            vec![conv(&[])],
            vec![w(), w()],
            144,
            &["two of its tensors are called \"w\""],
        ),
        (
            vec![conv(&[int("group", 2)])],
            vec![kernel("w", [3, 1, 3, 3])],
            108,
            &["(Conv)", "2 groups do not divide its 3 channels"],
        ),
        (
            vec![conv(&[int("group", 2)])],
            vec![w()],
            144,
            &["(Conv)", "2 channels in each of 2 groups", "reads 2"],
        ),
        (
            vec![conv(&[int("group", -1)])],
            vec![w()],
            144,
            &["(Conv)", "-1 groups"],
        ),
        (
            vec![conv(&[ints("dilations", &[2, 2])])],
            vec![w()],
            144,
            &["(Conv)", "dilations"],
        ),
        (
            vec![conv(&[])],
            vec![kernel("w", [4, 3, 3, 3])],
            144,
            &["(Conv)", "expects 3 channels, but", "reads 2"],
        ),
        (
            vec![conv(&[])],
            vec![kernel("w", [4, 2, 9, 9])],
            144,
            &["(Conv)", "9 x 9 does not fit"],
        ),
        (
            vec![node("Conv", &["x", "x"], "a", &[])],
            vec![],
            144,
            &["(Conv)", "its weight", "must be constant"],
        ),
        (
            vec![conv(&[]), node("Clip", &["a", "zero", "five"], "b", &[])],
            vec![w(), zero(), five()],
            144,
            &["(Clip)", "above 5", "a bound of 6"],
        ),
        (
            vec![
                conv(&[]),
                node("Relu", &["a"], "b", &[]),
                node("Min", &["b", "five"], "c", &[]),
            ],
            vec![w(), five()],
            144,
            &["(Min)", "ReLU6"],
        ),
        (
            vec![
                conv(&[]),
                node(
                    "AveragePool",
                    &["a"],
                    "b",
                    &[
                        ints("kernel_shape", &[2, 2]),
                        ints("pads", &[1; 4]),
                        int("count_include_pad", 1),
                    ],
                ),
            ],
            vec![w()],
            196,
            &["(AveragePool)", "count_include_pad = 0"],
        ),
        (
            vec![
                conv(&[]),
                node("ReduceMean", &["a"], "b", &[ints("axes", &[1])]),
            ],
            vec![w()],
            144,
            &["(ReduceMean)", "only height and width"],
        ),
        (
            vec![
                conv(&[]),
                node("AveragePool", &["a"], "b", &[ints("kernel_shape", &[2, 2])]),
                node("Relu", &["b"], "c", &[]),
            ],
            vec![w()],
            100,
            &["(Relu)", "before pooling"],
        ),
        (
            vec![
                conv(&[]),
                node("Relu", &["a"], "b", &[]),
                node("Add", &["a", "b"], "c", &[]),
            ],
            vec![w()],
            144,
            &["(Relu)", "another operator reads its input"],
        ),
        (
            vec![conv(&[]), node("Mul", &["a", "a"], "b", &[])],
            vec![w()],
            144,
            &["(Mul)", "only sums"],
        ),
        (
            vec![
                conv(&[]),
                node("Transpose", &["a"], "b", &[ints("perm", &[1, 0, 2, 3])]),
            ],
            vec![w()],
            144,
            &["(Transpose)", "keep that axis first"],
        ),
        (
            vec![conv(&[]), node("Reshape", &["a", "shape"], "b", &[])],
            vec![w(), integers("shape", &[4, -1])],
            144,
            &["(Reshape)", "must stay the batch"],
        ),
        (
            vec![
                conv(&[]),
                node(
                    "BatchNormalization",
                    &["a", "f", "f", "f", "f"],
                    "b",
                    &[float("epsilon", 0.1)],
                ),
            ],
            vec![w(), floats("f", &[4], &[-1.0; 4])],
            144,
            &["(BatchNormalization)", "negative"],
        ),
        (
            vec![
                conv(&[]),
                node(
                    "BatchNormalization",
                    &["a", "four", "four", "four", "four"],
                    "b",
                    &[int("training_mode", 1)],
                ),
            ],
            vec![w(), four()],
            144,
            &["(BatchNormalization)", "evaluation mode"],
        ),
        (
            vec![conv(&[])],
            vec![floats("w", &[4, 2, 3, 3], &[f32::NAN; 72])],
            144,
            &["(Conv)", "NaN"],
        ),
    ];
    for (mut nodes, mut weights, values, words) in cases {
        nodes.push(node(
            "Flatten",
            &[["x", "a", "b", "c"][nodes.len()]],
            "flat",
            &[],
        ));
        nodes.push(node("Gemm", &["flat", "v"], "y", &[]));
        weights.push(floats("v", &[values as i64, 2], &vec![0.25; 2 * values]));
        refuses(
            folder,
            &model(&graph(&[0, 2, 8, 8], &nodes, &weights), 17),
            words,
        );
    }
}

/// Checks that the nodes must form layers that read the input and end with a dense layer.
#[test]
fn a_network_must_end_with_a_dense_layer() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let dense = || node("Gemm", &["x", "w"], "a", &[]);
    for (nodes, words) in [
        (
            vec![dense(), node("Relu", &["a"], "y", &[])],
            &["(Relu)", "clips the class scores"][..],
        ),
        (
            vec![
                dense(),
                node("Relu", &["a"], "b", &[]),
                node("Mul", &["b", "c"], "y", &[]),
            ],
            &["(Mul)", "after the last layer"],
        ),
        (
            vec![dense(), node("Add", &["a", "a"], "y", &[])],
            &["(Add)", "dense layer"],
        ),
        (vec![node("Identity", &["x"], "y", &[])], &["no layers"]),
        (
            vec![node("Identity", &["c"], "y", &[])],
            &["(Identity)", "does not depend on the input"],
        ),
        (
            vec![
                node("Relu", &["x"], "a", &[]),
                node("Gemm", &["a", "w"], "y", &[]),
            ],
            &["(Relu)", "the input"],
        ),
    ] {
        let weights = [
            floats("w", &[3, 2], &[1.0; 6]),
            floats("c", &[2], &[2.0; 2]),
        ];
        refuses(folder, &model(&graph(&[0, 3], &nodes, &weights), 17), words);
    }
}

#[test]
fn an_unusable_file_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let nodes = [node("Gemm", &["x", "w"], "y", &[])];
    let weights = [floats("w", &[3, 2], &[1.0; 6])];
    let good = || graph(&[0, 3], &nodes, &weights);
    fs::write(folder.join("net.onnx"), model(&good(), 17)).unwrap();
    json(folder, "import net.onnx -o good");

    fs::write(folder.join("net.onnx"), "name = \"a\"\n").unwrap();
    refused(
        folder,
        "import net.onnx -o net",
        &["net.onnx: it is not an ONNX file"],
    );
    let whole = model(&good(), 17);
    let bytes = whole.as_ref();
    fs::write(folder.join("net.onnx"), &bytes[..bytes.len() / 2]).unwrap();
    refused(folder, "import net.onnx -o net", &["not an ONNX file"]);
    fs::write(folder.join("net.onnx"), "").unwrap();
    refused(folder, "import net.onnx -o net", &["no graph"]);

    let two = good().bytes(11, value("z", &[1, 3]));
    refuses(folder, &model(&two, 17), &["2 inputs (x, z)"]);
    let two = good().bytes(12, value("z", &[1, 3]));
    refuses(folder, &model(&two, 17), &["2 outputs (y, z)"]);
    refuses(
        folder,
        &model(&good().bytes(15, ""), 17),
        &["sparse initialisers"],
    );
    refuses(folder, &model(&good(), 17).bytes(20, ""), &["training"]);
    refuses(folder, &model(&good(), 99), &["version 99", "7 to 28"]);
    let external = [floats("w", &[3, 2], &[]).int(14, 1)];
    refuses(
        folder,
        &model(&graph(&[0, 3], &nodes, &external), 17),
        &["w: its values are in another file"],
    );
    let short = [floats("w", &[3, 2], &[1.0; 5])];
    refuses(
        folder,
        &model(&graph(&[0, 3], &nodes, &short), 17),
        &["has 5 values", "requires 6"],
    );
    refuses(
        folder,
        &model(&graph(&[0, 0], &nodes, &weights), 17),
        &["input x", "fixed size"],
    );
    refuses(
        folder,
        &model(&graph(&[0, 1, 1, 1, 3], &nodes, &weights), 17),
        &["5 axes"],
    );
    refuses(
        folder,
        &model(&graph(&[0, 4], &nodes, &weights), 17),
        &["(Gemm)", "flatten"],
    );
    let foreign = [node("Gemm", &["x", "w"], "y", &[]).bytes(7, "com.microsoft")];
    refuses(
        folder,
        &model(&graph(&[0, 3], &foreign, &weights), 17),
        &["com.microsoft.Gemm", "domain"],
    );
    let late = [node("Gemm", &["z", "w"], "y", &[])];
    refuses(
        folder,
        &model(&graph(&[0, 3], &late, &weights), 17),
        &["\"z\"", "no earlier node"],
    );
}
