//! Tests valid files, and the messages and line numbers of the errors for invalid ones.

use std::fs;
use std::path::Path;

use super::*;
use crate::graph::Operation;

/// Loads `text` as a file.
fn read_text(text: &str) -> Result<Graph, ArchitectureError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    fs::write(&path, text).unwrap();
    load(path.to_str().unwrap())
}

/// Loads a network with the given input shape and layers. A layer is written as
/// `type: key; key; ...`.
fn network(input: &str, layers: &[&str]) -> Result<Graph, ArchitectureError> {
    let mut text = format!("name = \"own\"\ninput = {input}\n");
    for layer in layers {
        let (kind, keys) = layer.split_once(':').unwrap_or((layer, ""));
        text += &format!(
            "[[layer]]\ntype = \"{kind}\"\n{}\n",
            keys.replace(';', "\n")
        );
    }
    read_text(&text)
}

/// Checks that `layers` are rejected at `line` with a message that contains `words`.
fn refused(layers: &[&str], line: usize, words: &[&str]) {
    let error = network("[1, 12, 12]", layers).unwrap_err().to_string();
    assert!(error.contains(&format!("own.toml, line {line}")), "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
    assert!(!error.contains('\n'), "{error}");
    eprintln!("{error}");
}

#[test]
fn files_reproduce_built_in_architectures() {
    let lenet_5 = [
        "conv: channels=6; kernel=5",
        "average-pool: size=2",
        "conv: channels=16; kernel=5",
        "average-pool: size=2",
        "dense: units=120",
        "dense: units=84",
        "dense: units=10",
    ];
    let mut caffe = lenet_5.to_vec();
    caffe.remove(5);
    caffe[0] = "conv: channels=20; kernel=5";
    caffe[1] = "max-pool: size=2; stride=2";
    caffe[2] = "conv: channels=50; kernel=5; stride=1; padding=\"valid\"; bias=true";
    caffe[3] = "max-pool: size=2";
    caffe[4] = "dense: units=500; norm=true; relu=true";
    for (name, input, layers) in [
        (
            "lenet-300-100",
            "[1, 28, 28]",
            vec!["dense: units=300", "dense: units=100", "dense: units=10"],
        ),
        ("lenet-5", "[3, 32, 32]", lenet_5.to_vec()),
        ("lenet-5-caffe", "[1, 28, 28]", caffe),
    ] {
        let read = network(input, &layers).unwrap();
        assert_eq!(read.name(), "own");
        assert_eq!(read.nodes(), load(name).unwrap().nodes(), "{name}");
    }
}

#[test]
fn example_files_match_the_readmes_weight_counts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures");
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".toml") else {
            continue;
        };
        let graph = load(folder.join(&file).to_str().unwrap()).unwrap();
        assert_eq!(graph.name(), name);
        let line = readme
            .lines()
            .find(|line| line.contains(&format!("`{file}`")));
        let told = line.and_then(|line| line.split('|').nth(3)).unwrap();
        assert_eq!(
            told.trim().replace(',', ""),
            graph.total().to_string(),
            "{file}"
        );
        files += 1;
    }
    assert_eq!(files, 7);
}

#[test]
fn padding_may_differ_on_all_sides() {
    let layers = [
        "conv: channels=2; kernel=3; padding=[2, 1, 0, 1]",
        "dense: units=3",
    ];
    let graph = network("[1, 6, 8]", &layers).unwrap();
    let conv = &graph.nodes()[1];
    let Operation::Conv { window, .. } = conv.operation else {
        panic!("{conv:?}");
    };
    assert_eq!((window.before, window.after), ([2, 1], [0, 1]));
    assert_eq!(conv.shape, [2, 6, 8]);
}

#[test]
fn windows_may_be_rectangular_padded_or_as_large_as_the_map() {
    let layers = [
        "conv: channels=2; kernel=[10, 4]; stride=[2, 1]; padding=\"same\"",
        "max-pool: size=[3, 2]; stride=[2, 3]; padding=[1, 0, 0, 1]",
        "average-pool: size=[2, 1]",
        "max-pool: size=3; stride=1; padding=1",
        "average-pool: size=\"map\"",
        "dense: units=3",
    ];
    let graph = network("[1, 49, 10]", &layers).unwrap();
    let windows: Vec<_> = graph
        .nodes()
        .iter()
        .filter_map(|node| match node.operation {
            Operation::Conv { window, .. } | Operation::Pool { window, .. } => {
                let padding = [window.before, window.after];
                Some((window.size, window.stride, padding, &node.shape[1..]))
            }
            _ => None,
        })
        .collect();
    let none = [[0; 2]; 2];
    assert_eq!(
        windows,
        [
            ([10, 4], [2, 1], [[4, 1], [5, 2]], &[25, 10][..]),
            ([3, 2], [2, 3], [[1, 0], [0, 1]], &[12, 4]),
            ([2, 1], [2, 1], none, &[6, 4]),
            ([3, 3], [1, 1], [[1; 2]; 2], &[6, 4]),
            ([6, 4], [6, 4], none, &[1, 1]),
        ]
    );
}

#[test]
fn relus_may_clip_at_six() {
    let layers = [
        "conv: channels=2; kernel=3; relu=6",
        "conv: channels=2; kernel=1; relu=true",
        "dense: units=4; relu=6",
        "dense: units=3",
    ];
    let graph = network("[1, 6, 6]", &layers).unwrap();
    let clips = graph.nodes().iter().map(|node| node.operation);
    let clips: Vec<_> = clips
        .filter(|operation| matches!(operation, Operation::Relu | Operation::Relu6))
        .collect();
    assert_eq!(clips, [Operation::Relu6, Operation::Relu, Operation::Relu6]);
    assert!(graph.node("relu3").is_some());
}

#[test]
fn convolutions_may_have_groups() {
    let layers = [
        "conv: channels=6; kernel=3; groups=3",
        "conv: channels=6; kernel=1; groups=1",
        "conv: channels=12; kernel=[3, 1]; groups=6",
        "dense: units=3",
    ];
    let graph = network("[3, 6, 6]", &layers).unwrap();
    let shapes: Vec<_> = graph
        .prunable()
        .into_iter()
        .map(|tensor| tensor.shape)
        .collect();
    assert_eq!(
        shapes,
        [
            vec![6, 1, 3, 3],
            vec![6, 6, 1, 1],
            vec![12, 1, 3, 1],
            vec![3, 96]
        ]
    );
    let total = 6 * 9 + 36 + 12 * 3 + 3 * 96;
    assert_eq!(graph.total(), total);
}

#[test]
fn layers_may_appear_in_any_order() {
    let graph = network(
        "[2, 7, 7]",
        &[
            "dense: name=\"last\"; from=\"sum\"; units=3; norm=false; bias=false",
            "add: name=\"sum\"; from=[\"conv1\", \"side\"]; relu=false",
            "conv: from=\"input\"; channels=4; kernel=3; stride=2; padding=\"same\"",
            "conv: name=\"side\"; from=\"input\"; channels=4; kernel=5; stride=2; padding=2; relu=false",
        ],
    )
    .unwrap();
    let nodes: Vec<(&str, Vec<&str>)> = graph
        .nodes()
        .iter()
        .map(|node| {
            let sources = node.sources.iter().map(|&s| graph.nodes()[s].name.as_str());
            (node.name.as_str(), sources.collect())
        })
        .collect();
    assert_eq!(
        nodes,
        [
            ("input", vec![]),
            ("conv1", vec!["input"]),
            ("bn1", vec!["conv1"]),
            ("relu1", vec!["bn1"]),
            ("side", vec!["input"]),
            ("bn2", vec!["side"]),
            ("sum", vec!["relu1", "bn2"]),
            ("flatten", vec!["sum"]),
            ("last", vec!["flatten"]),
        ]
    );
    let Operation::Dense {
        units: 3,
        bias: false,
    } = graph.nodes()[8].operation
    else {
        panic!("{:?}", graph.nodes()[8]);
    };
    assert_eq!(graph.prunable()[2].shape, [3, 4 * 4 * 4]);
}

#[test]
fn syntax_errors_name_line_and_layer() {
    let conv = "conv: channels=2; kernel=3";
    for (layer, line, words) in [
        ("cnov: channels=2", 8, &["cnov", "`average-pool`"][..]),
        (
            "conv: channels=2; kernal=3",
            10,
            &["layer conv2", "`kernal`", "`kernel`"],
        ),
        (
            "conv: channels=2",
            7,
            &["layer conv2", "missing field `kernel`"],
        ),
        (
            "max-pool: size=2; relu=true",
            10,
            &["layer pool1", "`relu`", "`from`"],
        ),
        (
            "conv: channels=\"2\"; kernel=3",
            9,
            &["layer conv2", "`channels`", "whole number"],
        ),
        (
            "conv: channels=2; kernel=0",
            10,
            &["layer conv2", "`kernel`", "from 1"],
        ),
        (
            "conv: channels=-2; kernel=3",
            9,
            &["layer conv2", "`-2`", "`channels`"],
        ),
        (
            "conv: channels=2; kernel=[3, 0]",
            10,
            &["layer conv2", "`kernel`", "from 1"],
        ),
        (
            "conv: channels=2; kernel=[3]",
            10,
            &["layer conv2", "`kernel`", "length 1", "height and a width"],
        ),
        (
            "conv: channels=2; kernel=3; stride=[1, 2, 3]",
            11,
            &["layer conv2", "`stride`", "length 3"],
        ),
        (
            "conv: channels=2; kernel=\"map\"",
            10,
            &["layer conv2", "`kernel`", "\"map\"", "whole number"],
        ),
        (
            "conv: channels=2; kernel=3; relu=5",
            11,
            &["layer conv2", "`relu`", "`5`", "clips at 6"],
        ),
        (
            "conv: channels=2; kernel=3; groups=0",
            11,
            &["layer conv2", "`groups`", "from 1"],
        ),
        (
            "max-pool: size=\"all\"",
            9,
            &["layer pool1", "`size`", "\"all\"", "or \"map\""],
        ),
        (
            "max-pool: size=\"map\"; stride=2",
            7,
            &["layer pool1", "the whole map", "remove them"],
        ),
        (
            "max-pool: size=2; padding=\"full\"",
            10,
            &["layer pool1", "\"same\"", "`padding`"],
        ),
        (
            "conv: channels=2; kernel=3; padding=\"full\"",
            11,
            &["\"full\"", "\"same\"", "`padding`"],
        ),
        (
            "conv: channels=2; kernel=3; padding=-1",
            11,
            &["\"same\"", "zeros", "`padding`"],
        ),
        (
            "conv: channels=2; kernel=3; padding=[1, 2]",
            11,
            &["left, below and right", "`padding`"],
        ),
        (
            "conv: channels=2; kernel=3; bias=1",
            11,
            &["layer conv2", "boolean", "`bias`"],
        ),
        ("dense: from=7; units=2", 9, &["name of a layer", "`from`"]),
        (
            "dense: name=\"conv1\"; units=2",
            9,
            &["layer conv1", "its own `name`"],
        ),
        (
            "dense: name=\"relu12\"; units=2",
            9,
            &["\"relu12\"", "choose another"],
        ),
        ("dense: name=\"a b\"; units=2", 9, &["\"a b\"", "letters"]),
        ("dense: units=2; units=3", 10, &["duplicate key"]),
    ] {
        // The layer at fault starts at line 7.
        refused(&[conv, layer, "dense: units=2"], line, words);
    }
    for (text, words) in [
        ("", "line 1: missing field `name`"),
        (
            "name = \"own\"\nwidth = 3",
            "line 2: unknown field `width`, expected",
        ),
        ("name = \"own\"\ninput = [1, 2]", "line 2: invalid length 2"),
        (
            "name = \"own\"\ninput = [1, 1, 4, 4]",
            "line 2: invalid length 4",
        ),
        (
            "name = \"own\"\ninput = [1, 2, 0]",
            "line 2: invalid value: integer `0`",
        ),
        (
            "name = \"own\"\ninput = [1, 2, 2]\nlayer = 3",
            "line 3: invalid type",
        ),
        (
            "name = \"own\"\ninput = [1, 2, 2]\nlayer = [[\"add\", \"a\", \"b\"]]",
            "line 3: a layer is a table",
        ),
        (
            "name = \"own\"\ninput = [1, 2, 2]\nlayer = [3]",
            "line 3: a layer is a table",
        ),
        (
            "name = \"own\"\ninput = [1, 2, 2]\nlayer = []",
            "line 1: there is no [[layer]]",
        ),
        (
            "name = \"vgg-16\"\ninput = [1, 2, 2]\nlayer = []",
            "line 1: \"vgg-16\" is the name of a built-in",
        ),
        (
            "name = \"../x\"\ninput = [1, 2, 2]\nlayer = []",
            "line 1: the name \"../x\"",
        ),
        ("name = \"own\"\ninput = [1, 2,", "line 2: "),
    ] {
        let error = read_text(text).unwrap_err().to_string();
        assert!(error.contains(words), "{words:?} is not in: {error}");
        assert!(!error.contains('\n'), "{error}");
        eprintln!("{error}");
    }
}

#[test]
fn inconsistent_layers_are_rejected_by_name() {
    let (conv, dense) = ("conv: channels=2; kernel=3", "dense: units=2");
    refused(
        &[conv, "dense: from=\"conv9\"; units=2"],
        9,
        &["layer fc1", "\"conv9\"", "no layer has this name"],
    );
    refused(
        &[
            dense,
            "conv: channels=2; kernel=3; from=\"add1\"",
            "add: from=[\"input\", \"conv2\"]",
            conv,
            dense,
        ],
        11,
        // The layer that only depends on the cycle is not named.
        &["layer add1", "its own output, add1 <- conv2 <- add1: "],
    );
    refused(&["dense: units=2; from=\"fc1\""], 3, &["fc1 <- fc1"]);
    refused(
        &[conv, "max-pool: size=2", "dense: from=\"conv1\"; units=2"],
        7,
        &["layer pool1", "no layer reads it or fc1"],
    );
    refused(
        &[conv, dense, "dense: units=3; from=\"conv1\""],
        7,
        &["layer fc1", "fc2", "one output"],
    );
    refused(&[dense, conv], 6, &["layer conv1", "must be a dense layer"]);
    for layer in ["dense: units=2; relu=true", "dense: units=2; relu=6"] {
        refused(&[layer], 3, &["layer fc1", "ReLU"]);
    }
    refused(
        &[dense, conv, dense],
        6,
        &["layer conv1", "needs a feature map as input, not 2 units"],
    );
    refused(
        &["max-pool: size=13", dense],
        3,
        &["layer pool1", "13 x 13", "12 x 12"],
    );
    refused(
        &["max-pool: size=[2, 13]", dense],
        3,
        &["layer pool1", "2 x 13", "12 x 12"],
    );
    refused(
        &[conv, "conv: channels=3; kernel=1; groups=2", dense],
        7,
        &["layer conv2", "2 groups", "2 input channels", "3 channels"],
    );
    refused(
        &["max-pool: size=[3, 2]; padding=2", dense],
        3,
        &["layer pool1", "only padding"],
    );
    refused(
        &[dense, "max-pool: size=\"map\"", dense],
        6,
        &["layer pool1", "needs a feature map as input, not 2 units"],
    );
    refused(
        &[conv, "add: from=[\"conv1\", \"input\"]", dense],
        7,
        &["layer add1", "2 x 10 x 10 to 1 x 12 x 12"],
    );
    refused(&[conv, "add", dense], 7, &["layer add1", "from = ["]);
    refused(
        &[conv, "add: from=\"conv1\"", dense],
        9,
        &["layer add1", "must be 2, not 1"],
    );
    refused(
        &[conv, "dense: from=[\"conv1\", \"input\"]; units=2"],
        9,
        &["must be 1, not 2"],
    );
}

#[test]
fn huge_sizes_are_rejected_before_allocation() {
    let dense = "dense: units=2";
    let huge = "conv: channels=2147483648; kernel=1";
    refused(&[huge, dense], 3, &["layer conv1", "elements"]);
    refused(
        &["conv: channels=2147483649; kernel=1", dense],
        5,
        &["layer conv1", "2147483649"],
    );
    refused(
        &["dense: units=20000000", dense],
        3,
        &["layer fc1", "weights"],
    );
    refused(
        &[
            "conv: channels=1; kernel=2147483648; padding=\"same\"",
            dense,
        ],
        3,
        &["layer conv1", "weights"],
    );
    let error = network("[2147483648, 2147483648, 2147483648]", &[dense]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("line 2: the input has more than"),
        "{error}"
    );
}

#[test]
fn unknown_names_and_unreadable_files_are_rejected() {
    for (name, words) in [
        ("lenet-6", "end"),
        ("nowhere.toml", "cannot read nowhere.toml"),
        ("./lenet-5", "cannot read ./lenet-5"),
    ] {
        let error = load(name).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("binary.toml");
    fs::write(&path, b"name = 1\n\xff").unwrap();
    let error = load(path.to_str().unwrap()).unwrap_err().to_string();
    assert!(
        error.contains("binary.toml, line 2: it is not UTF-8"),
        "{error}"
    );
}

/// Parses so many layers that the test would not finish if any step took quadratic time.
#[test]
fn a_hundred_thousand_layers_are_parsed() {
    const LAYERS: usize = 100_000;
    let layer = "[[layer]]\ntype = \"dense\"\nunits = 2\n";
    let text = format!(
        "name = \"deep\"\ninput = [1, 1, 2]\n{}",
        layer.repeat(LAYERS)
    );
    assert_eq!(parse(&text).unwrap().prunable().len(), LAYERS);
}
