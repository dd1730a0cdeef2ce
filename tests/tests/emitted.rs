//! Tests that networks emitted as Rust or C code, once compiled, compute the logits of the
//! reference implementation.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use rarefy_format::{
    AlignedBytes, ByteMap, Encoding, LayerSpec, Margin, Model, NetworkSpec, Operation, Pooling,
    Shape, SkipSpec, UnitsSpec, WeightsSpec, Window, container_checksum, with_units, write,
};
use rarefy_runtime::Engine;
use rarefy_test_support::networks::{self, Random};
use rarefy_trainer::deploy::emit::{self, EmitError, Language, MOST_WEIGHTS, c, prefix, rust};

/// The number of networks, all of which are compiled together.
const NETWORKS: usize = 70;
/// The number of inputs per network.
const INPUTS: usize = 4;

/// Compiles `file` in `folder` with the compiler that cargo uses.
fn compile(folder: &Path, file: &str, options: &[&str]) {
    let rustc = option_env!("RUSTC").unwrap_or("rustc");
    let mut command = Command::new(rustc);
    let command = command.current_dir(folder).args(["--edition=2024", file]);
    let output = command.args(options).output().expect("rustc starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file}: {errors}");
}

/// Returns a layer that copies its values.
fn identity(operation: Operation, values: usize) -> LayerSpec {
    let rows = (0..values).map(|value| vec![(value as u16, 1)]).collect();
    LayerSpec {
        operation,
        ..LayerSpec::dense(Encoding::Csr, 0, vec![0; values], rows)
    }
}

/// Returns a network with a 4 x 4 input and these layers, followed by a layer that copies the
/// `values` outputs of the last one.
fn network(mut layers: Vec<LayerSpec>, values: usize) -> NetworkSpec {
    layers.push(identity(Operation::Dense, values));
    let input = Shape {
        channels: 1,
        height: 4,
        width: 4,
    };
    NetworkSpec { input, layers }
}

/// Returns a window without padding whose stride is its size.
fn window(size: u8) -> Window {
    Window::square(size, size, Margin::NONE)
}

/// Returns a network that averages over windows of 2 x 2 values: in random networks, averages often
/// saturate and so do not show their rounding.
fn averaged() -> NetworkSpec {
    let operation = Operation::Pool {
        pooling: Pooling::Average,
        window: window(2),
    };
    let pool = LayerSpec {
        encoding: Encoding::None,
        shift: 2,
        weights: WeightsSpec::None,
        ..identity(operation, 1)
    };
    network(vec![pool], 4)
}

/// Returns a network of rectangular windows with unequal strides and uneven padding: a convolution
/// that averages 2 x 2 positions, one that adds its source, and a mean over the whole map.
fn oblong() -> NetworkSpec {
    let window = |size, stride, [top, left, bottom, right]: [u8; 4]| Window {
        size,
        stride,
        padding: Margin {
            top,
            left,
            bottom,
            right,
        },
    };
    let layer = |window: Window, pooling, outputs: usize, columns: u16| {
        let weight =
            |row: usize, column: u16| (column, [3, -2, 5, 1, -4][(row + column as usize) % 5]);
        let row = |row| (0..columns).map(|column| weight(row, column)).collect();
        LayerSpec {
            operation: Operation::Conv { window, pooling },
            ..LayerSpec::dense(
                Encoding::Csr,
                5,
                vec![300; outputs],
                (0..outputs).map(row).collect(),
            )
        }
    };
    // 1 x 21 x 9 to 2 x 9 x 8, to 2 x 4 x 4, to 2 x 4 x 4, to 2 x 1 x 2.
    let first = layer(window([10, 4], [2, 1], [2, 1, 3, 1]), None, 2, 40);
    let pooled = layer(
        window([1, 7], [1, 1], [0, 3, 0, 3]),
        Some((Pooling::Average, 2)),
        2,
        14,
    );
    let mut added = layer(window([3, 1], [1, 1], [1, 0, 1, 0]), None, 2, 6);
    added.skip = Some(SkipSpec { back: 1, shift: 3 });
    let pool = LayerSpec {
        operation: Operation::Pool {
            pooling: Pooling::Average,
            window: window([4, 3], [1, 1], [0; 4]),
        },
        encoding: Encoding::None,
        shift: 4,
        weights: WeightsSpec::None,
        ..identity(Operation::Dense, 2)
    };
    NetworkSpec {
        input: Shape {
            channels: 1,
            height: 21,
            width: 9,
        },
        layers: vec![first, pooled, added, pool, identity(Operation::Dense, 4)],
    }
}

/// Returns a network that adds twice its input to its input and halves the sum.
fn added() -> NetworkSpec {
    let operation = Operation::Conv {
        window: window(1),
        pooling: None,
    };
    let add = LayerSpec {
        shift: 1,
        skip: Some(SkipSpec { back: 1, shift: 1 }),
        ..identity(operation, 1)
    };
    network(vec![identity(operation, 1), add], 16)
}

/// Compiles a library and a program that uses it, and returns the lines that the program prints.
fn printed(library: &str, main: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    fs::write(path.join("library.rs"), library).expect("the folder is writable");
    fs::write(path.join("main.rs"), main).expect("the folder is writable");
    compile(
        path,
        "library.rs",
        &[
            "--crate-type=rlib",
            "-Copt-level=1",
            "-Cdebug-assertions=yes",
        ],
    );
    compile(path, "main.rs", &["--extern=library=liblibrary.rlib"]);
    let output = Command::new(path.join("main"))
        .output()
        .expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).expect("the output is text");
    printed.lines().map(str::to_owned).collect()
}

/// A network, its seed, and inputs with their logits and classes.
struct Case {
    seed: u64,
    network: NetworkSpec,
    answers: Vec<(Vec<u8>, Vec<i32>, usize)>,
}

/// Returns networks that can be emitted as code, of every kind.
fn cases() -> Vec<Case> {
    let plain = [averaged(), added(), oblong()];
    let mut operations = [0; 3];
    let mut cases = Vec::new();
    for seed in 0.. {
        if cases.len() >= NETWORKS {
            break;
        }
        let plain = plain.get(seed as usize).cloned();
        let network = plain.unwrap_or_else(|| networks::any(seed));
        // Some random networks do not fit a container, and some contain floats.
        if write(&network).is_err() {
            continue;
        }
        match rust(&network, "model.rfy", 7) {
            Ok(_) => {}
            Err(EmitError::Floats(1) | EmitError::Overflow { .. }) => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        }
        for layer in &network.layers {
            operations[usize::from(layer.operation.code())] += 1;
        }
        let mut random = Random::new(seed);
        let answer = |_| {
            let input = random.bytes(network.input.len());
            let logits = network.infer(&input);
            let largest = logits.iter().max().expect("a logit");
            let class = logits.iter().position(|logit| logit == largest);
            (input, logits, class.expect("it is there"))
        };
        cases.push(Case {
            seed,
            answers: (0..INPUTS).map(answer).collect(),
            network,
        });
    }
    assert!(
        operations.iter().all(|&count| count >= 10),
        "{operations:?}"
    );
    cases
}

/// Returns the lines that programs print for `cases`: seed, logits, class.
fn lines(cases: &[Case]) -> Vec<String> {
    let line = |seed: u64, logits: &[i32], class: usize| format!("{seed} {logits:?} {class}");
    let of_case = |case: &Case| {
        let answers = case.answers.iter();
        let lines = answers.map(|(_, logits, class)| line(case.seed, logits, *class));
        lines.collect::<Vec<_>>()
    };
    cases.iter().flat_map(of_case).collect()
}

#[test]
fn compiled_rust_computes_the_logits_of_the_network() {
    // Warnings are errors, debug assertions detect overflowing sums, and there is neither a heap
    // nor unsafe code.
    let mut library = "#![no_std]\n#![forbid(unsafe_code)]\n#![deny(warnings)]\n".to_owned();
    let mut main = "fn main() {\n".to_owned();
    let cases = cases();
    for Case {
        seed,
        network,
        answers,
    } in &cases
    {
        let source = rust(network, "model.rfy", 7).expect("it was emitted before");
        writeln!(library, "pub mod network_{seed} {{\n{source}}}").expect("a string");
        for (input, ..) in answers {
            writeln!(
                main,
                "    let input = {input:?};\n    println!(\"{seed} {{:?}} {{}}\", library::network_{seed}::infer(&input), library::network_{seed}::classify(&input));"
            )
            .expect("a string");
        }
    }
    main += "}\n";

    assert_eq!(printed(&library, &main), lines(&cases));
}

/// Returns a program of C that prints seed, logits and class for the inputs of `cases`. The
/// networks are in the headers `n0.h`, `n1.h`, ...
fn program(cases: &[Case]) -> String {
    let mut main = "#include <stdio.h>\n".to_owned();
    for Case { seed, .. } in cases {
        writeln!(main, "#include \"n{seed}.h\"").expect("a string");
    }
    main += "
static void print(int seed, const int32_t *logits, int count, int class_index)
{
    printf(\"%d [\", seed);
    for (int i = 0; i < count; i++) {
        printf(i ? \", %ld\" : \"%ld\", (long)logits[i]);
    }
    printf(\"] %d\\n\", class_index);
}

int main(void)
{
";
    for Case { seed, answers, .. } in cases {
        for (input, ..) in answers {
            let bytes = format!("{input:?}");
            let bytes = bytes.trim_matches(['[', ']']);
            writeln!(
                main,
                "    {{
        static const uint8_t input[N{seed}_INPUTS] = {{{bytes}}};
        int32_t logits[N{seed}_OUTPUTS];
        n{seed}_infer(input, logits);
        print({seed}, logits, N{seed}_OUTPUTS, n{seed}_classify(input));
    }}"
            )
            .expect("a string");
        }
    }
    main + "    return 0;\n}\n"
}

#[cfg(unix)]
#[test]
fn compiled_c_computes_the_logits_of_the_network() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let cases = cases();
    for Case { seed, network, .. } in &cases {
        // A name that would end the comment around it.
        let source = c(network, &format!("n{seed}"), "a */ b /* c", 7).expect("it is emitted");
        fs::write(at(&format!("n{seed}.h")), source).expect("the folder is writable");
    }
    // The same file is C++.
    for name in ["main.c", "main.cpp"] {
        fs::write(at(name), program(&cases)).expect("the folder is writable");
    }
    // Warnings are errors, and undefined behaviour, such as an overflowing sum, ends the program.
    let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];
    let undefined = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"];
    let compilations: [(&[&str], &[&str]); 2] = [
        (&["cc", "-std=c99", "-O1", "main.c"], &undefined),
        (&["c++", "-std=c++11", "-O0", "main.cpp"], &[]),
    ];
    for (command, options) in compilations {
        let mut compile = Command::new(command[0]);
        compile.current_dir(folder.path()).args(&command[1..]);
        compile.args(strict).args(options).args(["-o", "main"]);
        let output = match compile.output() {
            Ok(output) => output,
            Err(error) => {
                eprintln!("SKIPPED: {} cannot be run: {error}", command[0]);
                continue;
            }
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {errors}");
        let output = Command::new(at("main")).output().expect("it was compiled");
        assert!(output.status.success(), "{command:?}");
        let printed = String::from_utf8(output.stdout).expect("the output is text");
        let printed: Vec<&str> = printed.lines().collect();
        assert_eq!(printed, lines(&cases), "{command:?}");
    }
}

#[test]
fn functions_of_c_are_named_after_the_file() {
    for (file, name) in [
        ("out/model.h", "model"),
        ("Digits-v2.0.h", "digits_v2_0"),
        ("100x.h", "network_100x"),
        ("_x.h", "network_x"),
        ("\u{e9}t\u{e9}.h", "network_t_"),
    ] {
        assert_eq!(prefix(Path::new(file)), name);
    }
}

/// Checks that emitted code converts numbers as the engine does.
#[test]
fn compiled_code_converts_numbers_as_the_engine_does() {
    let mut library = "#![no_std]\n#![forbid(unsafe_code)]\n#![deny(warnings)]\n".to_owned();
    let mut main = "fn main() {\n".to_owned();
    let mut expected = Vec::new();
    let network = NetworkSpec {
        input: Shape {
            channels: 3,
            height: 1,
            width: 4,
        },
        layers: vec![identity(Operation::Dense, 12)],
    };
    let names: Vec<String> = (0..12).map(|class| format!("\"{class}\\")).collect();
    let ranges = [(-1.0, 2.5), (0.0, 4095.0), (7.0, 7.0)];
    let maps = |count: usize| -> Vec<ByteMap> {
        let ranges = ranges.iter().cycle().take(count);
        ranges.map(|&(low, high)| ByteMap::new(low, high)).collect()
    };
    for (count, output_step) in [(1, 1e-7), (3, 0.0123), (12, 3e20)] {
        let units = UnitsSpec {
            output_step,
            maps: maps(count),
        };
        let container = with_units(&write(&network).expect("it fits"), &units).expect("it fits");
        let container = AlignedBytes::copy_from(&container);
        let engine = Engine::new(Model::parse(&container).expect("valid")).expect("aligned");
        let source = rust(&network, "model.rfy", 7).expect("it fits")
            + &emit::units(&units)
            + &emit::names(&names);
        writeln!(library, "pub mod network_{count} {{\n{source}}}").expect("a string");
        writeln!(
            main,
            "    println!(\"{{:?}}\", library::network_{count}::CLASSES);"
        )
        .expect("a string");
        expected.push(format!("{names:?}"));
        let mut random = Random::new(count as u64);
        for _ in 0..20 {
            let value = |_| random.below(20_000) as f32 / 1_000.0 - 8.0;
            let values: Vec<f32> = (0..12).map(value).collect();
            let readings: Vec<i16> = values.iter().map(|&x| (250.0 * x) as i16).collect();
            for (kind, numbers) in [
                ("f32", format!("{values:?}")),
                ("i16", format!("{readings:?}")),
            ] {
                let mut input = [0; 12];
                match kind {
                    "f32" => engine
                        .quantize(&values, &mut input)
                        .expect("the lengths fit"),
                    _ => engine
                        .quantize(&readings, &mut input)
                        .expect("the lengths fit"),
                }
                let mut arena = vec![0; engine.model().arena_words()];
                let logits = engine.infer(&input, &mut arena).expect("the lengths fit");
                let outputs: Vec<f32> = engine.dequantize(logits).expect("units").collect();
                expected.push(format!("{input:?} {outputs:?}"));
                writeln!(
                    main,
                    "    let numbers: [{kind}; 12] = {numbers};\n    let input = library::network_{count}::quantize(&numbers);\n    println!(\"{{input:?}} {{:?}}\", library::network_{count}::dequantize(&library::network_{count}::infer(&input)));"
                )
                .expect("a string");
            }
        }
    }
    main += "}\n";
    assert_eq!(printed(&library, &main), expected);
}

#[cfg(unix)]
#[test]
fn compiled_c_converts_numbers_as_the_engine_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = NetworkSpec {
        input: Shape::flat(6),
        layers: vec![identity(Operation::Dense, 6)],
    };
    let names = ["a", "\"", "\\", "%d??/", "\u{e9}1", "*/"].map(str::to_owned);
    let units = UnitsSpec {
        output_step: 0.0123,
        maps: vec![
            ByteMap::new(-1.0, 2.5),
            ByteMap::new(0.0, 1.0 / 3.0),
            ByteMap::new(7.0, 7.0),
        ],
    };
    let container = with_units(&write(&network).expect("it fits"), &units).expect("it fits");
    let container = AlignedBytes::copy_from(&container);
    let engine = Engine::new(Model::parse(&container).expect("valid")).expect("aligned");
    let source = c(&network, "net", "model.rfy", 7).expect("it fits")
        + &emit::units_in_c("net", &units)
        + &emit::names_in_c("net", &names);
    fs::write(folder.path().join("net.h"), source).expect("the folder is writable");

    let mut random = Random::new(3);
    let mut rows = vec![[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.1, 7.0, -0.0]];
    for _ in 0..200 {
        rows.push([(); 6].map(|()| random.below(20_000) as f32 / 4_000.0 - 1.5));
    }
    let mut expected = vec![names.concat()];
    let mut main = "#include <stdio.h>\n#include <string.h>\n#include \"net.h\"\n
static void print(const uint32_t bits[6])
{
    float values[6], outputs[6];
    uint8_t input[6];
    int32_t logits[6];
    memcpy(values, bits, sizeof values);
    net_quantize(values, input);
    net_infer(input, logits);
    net_dequantize(logits, outputs);
    for (int i = 0; i < 6; i++) {
        uint32_t word;
        memcpy(&word, &outputs[i], sizeof word);
        printf(\"%d:%08lx \", input[i], (unsigned long)word);
    }
    printf(\"\\n\");
}

int main(void)
{
    static const char *const names[6] = NET_CLASSES;
    for (int i = 0; i < 6; i++) {
        printf(\"%s\", names[i]);
    }
    printf(\"\\n\");
"
    .to_owned();
    for row in &rows {
        let mut input = [0; 6];
        engine.quantize(row, &mut input).expect("the lengths fit");
        let mut arena = vec![0; engine.model().arena_words()];
        let logits = engine.infer(&input, &mut arena).expect("the lengths fit");
        let outputs = engine.dequantize(logits).expect("units");
        let line = input.iter().zip(outputs);
        let line = line.map(|(byte, output)| format!("{byte}:{:08x} ", output.to_bits()));
        expected.push(line.collect::<String>().trim_end().to_owned());
        let bits = row
            .map(|value| format!("{:#x}", value.to_bits()))
            .join(", ");
        writeln!(
            main,
            "    {{ static const uint32_t row[6] = {{{bits}}}; print(row); }}"
        )
        .expect("a string");
    }
    fs::write(folder.path().join("main.c"), main + "    return 0;\n}\n")
        .expect("the folder is writable");
    // With the instructions of the processor here, which may have fused ones, and in GNU's C.
    for options in [
        &["-std=c99", "-O0"][..],
        &["-std=gnu99", "-O3", "-march=native"],
    ] {
        let mut compile = Command::new("cc");
        compile.current_dir(folder.path()).args(options);
        compile.args([
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "main.c",
            "-o",
            "main",
        ]);
        let Ok(output) = compile.output() else {
            eprintln!("SKIPPED: cc cannot be run");
            return;
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {errors}");
        let output = Command::new(folder.path().join("main")).output();
        let printed = String::from_utf8(output.expect("it was compiled").stdout).expect("text");
        let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
        assert_eq!(printed, expected, "{options:?}");
    }
}

/// Returns a dense layer of `rows` x `columns` weights, all of which are `weight`.
fn full(rows: usize, columns: u16, weight: i16) -> LayerSpec {
    let row: Vec<_> = (0..columns).map(|column| (column, weight)).collect();
    LayerSpec::dense(Encoding::Csr, 0, vec![1; rows], vec![row; rows])
}

#[test]
fn networks_that_code_cannot_represent_are_rejected() {
    let network = |layer: LayerSpec| NetworkSpec {
        input: Shape::flat(1_000),
        layers: vec![layer],
    };
    let refusal = |layer| {
        let network = network(layer);
        let refused = rust(&network, "model.rfy", 0).expect_err("refused");
        let in_c = c(&network, "model", "model.rfy", 0).expect_err("refused");
        assert_eq!(refused, in_c);
        refused.to_string()
    };
    let weights = refusal(full(66, 1_000, 1));
    assert!(
        weights.starts_with("66000 weights are more than the 65536"),
        "{weights}"
    );
    const { assert!(66_000 > MOST_WEIGHTS) };
    assert_eq!(
        refusal(full(1, 1_000, 32_767)),
        "the sum of row 0 of layer 1 could reach 8355585001, beyond 32 bits; use a container"
    );
    let mut network = network(full(2, 1_000, 1));
    network.layers[0].source = 2;
    let refused = rust(&network, "model.rfy", 0);
    assert_eq!(refused, Err(EmitError::Layer(1)));
    let floats = (0..)
        .map(|seed| networks::floats(&mut Random::new(seed)))
        .next()
        .expect("one");
    assert_eq!(rust(&floats, "model.rfy", 0), Err(EmitError::Floats(1)));
}

/// Tests that the example with which the firmware is linted is the code of a golden container; with
/// `RAREFY_BLESS=1`, writes it.
#[test]
fn the_example_of_the_firmware_is_emitted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let bytes = fs::read(root.join("format/tests/golden/columns.rfy")).expect("it is there");
    let bytes = AlignedBytes::copy_from(&bytes);
    let model = Model::parse(&bytes).expect("the container is golden");
    let network = NetworkSpec::from_model(&model);
    let source = rust(&network, "columns.rfy", container_checksum(&bytes)).expect("it fits");
    let example = root.join("firmware/code/example.rs");
    if std::env::var_os("RAREFY_BLESS").is_some() {
        fs::write(&example, &source).expect("it can be written");
    }
    assert_eq!(fs::read_to_string(example).expect("it is there"), source);
}

#[test]
fn the_head_of_the_code_describes_the_network() {
    let network = NetworkSpec {
        input: Shape {
            channels: 1,
            height: 28,
            width: 28,
        },
        layers: vec![full(10, 784, -3)],
    };
    let source = rust(&network, "digits.rfy", 0x00c0_ffee).expect("it fits");
    for line in [
        "//! A neural network as code: 784 bytes in, 10 logits out.",
        "//! Written by `rarefy export --emit rust` from the network in `digits.rfy` (checksum 00c0ffee):",
        "//!     1  dense        1 x 28 x 28             10     7840",
        "pub const INPUTS: usize = 784;",
    ] {
        assert!(
            source.lines().any(|found| found == line),
            "{line}\n{source}"
        );
    }
}

#[test]
fn languages_are_told_apart() {
    let network = NetworkSpec {
        input: Shape::flat(1),
        layers: vec![full(1, 1, 1)],
    };
    let rust = rust(&network, "model.rfy", 1).expect("it fits");
    let c = c(&network, "model", "model.rfy", 1).expect("it fits");
    let languages =
        |file: &str| [Language::Rust, Language::C].map(|language| language.is_in(file.as_bytes()));
    assert_eq!(languages(&rust), [true, false]);
    assert_eq!(languages(&c), [false, true]);
    assert_eq!(languages("// another file"), [false, false]);
    for line in [
        "/* A neural network as code: 1 bytes in, 1 logits out.",
        " *         1  dense                  1              1        1",
        "#define MODEL_INPUTS 1",
        "static inline int model_classify(const uint8_t input[MODEL_INPUTS])",
    ] {
        assert!(c.lines().any(|found| found == line), "{line}\n{c}");
    }
}
