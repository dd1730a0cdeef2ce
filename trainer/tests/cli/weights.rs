//! Weights given with `--weights`: ranked in their own precision; errors name the tensor.

use std::fs;
use std::path::Path;

use safetensors::tensor::Dtype;

use crate::program::{self, json, refused};
use crate::tensors::{self, Tensor, Tensors, double, single, tensor, write};

/// Writes a network for the digits into `folder` and returns its weights in f64. Within a layer,
/// their magnitudes are distinct, equal when rounded to f32, and not in order.
fn small(folder: &Path) -> [Vec<f64>; 2] {
    let layers =
        "[[layer]]\ntype = \"dense\"\nunits = 20\n[[layer]]\ntype = \"dense\"\nunits = 10\n";
    let text = format!("name = \"small\"\ninput = [1, 28, 28]\n{layers}");
    fs::write(folder.join("small.toml"), text).unwrap();
    // 3 divides neither size.
    let of = |size: u32| {
        let value = |i: u32| 0.25 * (1.0 + f64::from(3 * i % size) * 1e-12);
        let signed = |i: u32| {
            if i.is_multiple_of(3) {
                -value(i)
            } else {
                value(i)
            }
        };
        (0..size).map(signed).collect()
    };
    [of(20 * 784), of(10 * 20)]
}

fn file([first, second]: &[Vec<f64>; 2]) -> Tensors {
    let (first, second) = (double(&[20, 784], first), double(&[10, 20], second));
    [("fc1.weight", first), ("fc2.weight", second)].into()
}

const PRUNE: &str = "prune --arch small.toml --weights w --out m";

#[test]
fn double_weights_are_ranked_in_double() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let weights = small(folder);
    write(&folder.join("w"), &file(&weights));
    let distinct = |layer: &[f64]| {
        let mut bits: Vec<u32> = layer.iter().map(|w| (w.abs() as f32).to_bits()).collect();
        bits.sort_unstable();
        bits.dedup();
        bits.len()
    };
    assert_eq!(distinct(&weights[0]), 1, "f32 cannot tell them apart");
    // Within a layer, all of these, including LAMP, rank by |w|.
    for pruner in [
        "magnitude/global",
        "magnitude/uniform",
        "magnitude/erk",
        "magnitude/igq",
        "lamp",
    ] {
        json(
            folder,
            &format!("{PRUNE} --pruner {pruner} --compression 10 --type direct"),
        );
        for ((name, mask), weights) in tensors::masks(&folder.join("m")).iter().zip(&weights) {
            let size = |kept: bool| {
                let all = weights.iter().zip(mask);
                let some = all.filter(move |&(_, &keep)| (keep == 1) == kept);
                some.map(|(weight, _)| weight.abs())
            };
            let least = size(true).fold(f64::INFINITY, f64::min);
            let most = size(false).fold(0.0, f64::max);
            assert!(most < least, "{pruner}, {name}: {most} {least}");
        }
    }
}

#[test]
fn every_float_type_of_the_same_numbers_gives_the_same_masks() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    // Numbers of three significant bits, exact in each type.
    let of = |size: u32| {
        (0..size)
            .map(|i| 0.25 * ((i * 5 % 9) as f32 - 4.0))
            .collect()
    };
    let layers: [Vec<f32>; 2] = [of(20 * 784), of(10 * 20)];
    // Converts to f16: the sign, 5 of the 8 exponent bits and 10 of the 23 fraction bits.
    let half = |number: f32| match number.to_bits() {
        0 => 0,
        bits => (bits >> 16 & 0x8000) | (((bits >> 23 & 0xff) - 112) << 10) | (bits >> 13 & 0x3ff),
    };
    let shapes: [&[usize]; 2] = [&[20, 784], &[10, 20]];
    let of_type = |dtype: Dtype, layer: &[f32], shape: &[usize]| -> Tensor {
        let numbers = layer.iter();
        match dtype {
            Dtype::F64 => tensor(dtype, shape, numbers.map(|&n| f64::from(n).to_le_bytes())),
            Dtype::F32 => tensor(dtype, shape, numbers.map(|n| n.to_le_bytes())),
            Dtype::BF16 => {
                let upper = numbers.map(|n| [n.to_le_bytes()[2], n.to_le_bytes()[3]]);
                tensor(dtype, shape, upper)
            }
            _ => tensor(
                dtype,
                shape,
                numbers.map(|&n| (half(n) as u16).to_le_bytes()),
            ),
        }
    };
    let mut written = Vec::new();
    for dtype in [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16] {
        let tensors = ["fc1.weight", "fc2.weight"]
            .into_iter()
            .zip(&layers)
            .zip(shapes);
        let tensors = tensors.map(|((name, layer), shape)| (name, of_type(dtype, layer, shape)));
        write(&folder.join("w"), &tensors.collect());
        for pruner in ["magnitude/igq", "lamp", "synflow"] {
            json(
                folder,
                &format!("{PRUNE} --pruner {pruner} --compression 4"),
            );
            written.push((pruner, fs::read(folder.join("m")).unwrap()));
        }
    }
    for (pruner, file) in &written {
        let first = written.iter().find(|(first, _)| first == pruner).unwrap();
        assert!(first.1 == *file, "{pruner}");
    }
}

#[test]
fn weights_that_cannot_be_ranked_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let whole = file(&small(folder));
    let commands = [
        format!("{PRUNE} --pruner magnitude/igq"),
        format!("{PRUNE} --pruner random/igq"),
        format!("{PRUNE} --pruner snip --data digits"),
        "effective --arch small.toml --curve c.svg --pruner lamp --weights w".into(),
    ];
    let refused = |change: &dyn Fn(&mut Tensors), words: &[&str]| {
        let mut weights = whole.clone();
        change(&mut weights);
        write(&folder.join("w"), &weights);
        for command in &commands {
            refused(folder, command, words);
        }
    };
    let put = |name: &'static str, tensor: Tensor| {
        move |weights: &mut Tensors| drop(weights.insert(name, tensor.clone()))
    };
    for (bad, shown) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        let mut second = [0.5; 200];
        second[137] = bad;
        let words = ["w:", "fc2.weight", shown, "element 137"];
        refused(&put("fc2.weight", double(&[10, 20], &second)), &words);
        let narrow = second.map(|number| number as f32);
        refused(&put("fc2.weight", single(&[10, 20], &narrow)), &words);
    }
    refused(
        &|weights| drop(weights.remove("fc1.weight")),
        &["w:", "fc1.weight", "missing"],
    );
    refused(
        &put("fc3.weight", single(&[1], &[1.0])),
        &["w:", "fc3.weight"],
    );
    refused(
        &put("fc2.weight", double(&[20, 10], &[0.5; 200])),
        &["[20, 10]", "[10, 20]"],
    );
    let whole_numbers = tensor(Dtype::I32, &[10, 20], [[1, 0, 0, 0]; 200]);
    refused(
        &put("fc2.weight", whole_numbers),
        &["fc2.weight", "I32", "f32"],
    );

    fs::write(folder.join("w"), "weights").unwrap();
    for command in &commands {
        program::refused(folder, command, &["w:", "not a valid safetensors file"]);
    }
}
