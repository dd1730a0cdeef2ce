//! Masks from other programs: what counts as kept, and which files are rejected.

use std::fs;
use std::path::Path;

use safetensors::tensor::Dtype;
use serde_json::json;

use crate::program::{json, refused};
use crate::tensors::{self, Tensor, Tensors, bytes, double, single, tensor, write};

/// Writes a network of 18 weights into `folder` and returns masks that keep nine, eight of them
/// connected.
fn tiny(folder: &Path) -> Tensors {
    let layers = "[[layer]]\ntype = \"dense\"\nunits = 3\n[[layer]]\ntype = \"dense\"\nunits = 2\n";
    let text = format!("name = \"tiny\"\ninput = [1, 1, 4]\n{layers}");
    fs::write(folder.join("tiny.toml"), text).unwrap();
    let first = bytes(&[3, 4], &[1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0]);
    let second = bytes(&[2, 3], &[1, 0, 1, 0, 0, 1]);
    [("fc1.weight", first), ("fc2.weight", second)].into()
}

const ASK: &str = "effective --arch tiny.toml --masks m --out e";

#[test]
fn what_is_connected_is_written_and_stays_connected() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("m"), &tiny(folder));
    for mode in ["exact", "graph"] {
        let told = json(folder, &format!("{ASK} --mode {mode}"));
        assert_eq!(told["direct"]["nonzeros"], 9);
        // No weight reads the second of three units.
        assert_eq!(
            told["effective"],
            json!({"nonzeros": 8, "compression": 2.25})
        );
        let connected = tensors::masks(&folder.join("e"));
        assert_eq!(
            connected["fc1.weight"],
            [1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0]
        );
        assert_eq!(connected["fc2.weight"], [1, 0, 1, 0, 0, 1]);
        let first = fs::read(folder.join("e")).unwrap();
        let again = json(
            folder,
            &format!("effective --arch tiny.toml --masks e --out again --mode {mode}"),
        );
        assert_eq!(again["direct"], told["effective"]);
        assert_eq!(again["effective"], told["effective"]);
        assert_eq!(fs::read(folder.join("again")).unwrap(), first);
    }
}

/// Returns a mask of seven ones and five zeros in each type. As floats, the ones are numbers of
/// all magnitudes, and one zero is negative.
fn nonzero_patterns() -> [(&'static str, Tensor); 6] {
    let kept = [1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0];
    let one_of = |some: &[u64; 7], negative_zero: u64| -> Vec<u64> {
        let mut some = some.iter();
        let numbers = kept.iter().map(|&kept| match kept {
            1 => *some.next().unwrap(),
            _ => 0,
        });
        let mut numbers: Vec<u64> = numbers.collect();
        numbers[4] = negative_zero;
        numbers
    };
    // 1, -1, the largest number, the smallest normal one, the smallest of either sign, and 42.
    let half = one_of(
        &[0x3c00, 0xbc00, 0x7bff, 0x0400, 0x0001, 0x8001, 0x5140],
        1 << 15,
    );
    let brain = one_of(
        &[0x3f80, 0xbf80, 0x7f7f, 0x0080, 0x0001, 0x8001, 0x4228],
        1 << 15,
    );
    let kinds = |one: f64, most: f64, normal: f64, least: f64| {
        [one, -one, most, normal, least, -least, 42.0]
    };
    let float = kinds(
        1.0,
        f32::MAX.into(),
        f32::MIN_POSITIVE.into(),
        f32::from_bits(1).into(),
    );
    let float = one_of(&float.map(|x| u64::from((x as f32).to_bits())), 1 << 31);
    let wide = kinds(1.0, f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1));
    let wide = one_of(&wide.map(f64::to_bits), 1 << 63);

    let shape = [3, 4];
    let short = |numbers: &[u64]| -> Vec<[u8; 2]> {
        numbers.iter().map(|&n| (n as u16).to_le_bytes()).collect()
    };
    [
        ("u8", bytes(&shape, &kept)),
        ("bool", tensor(Dtype::BOOL, &shape, kept.map(|byte| [byte]))),
        ("f16", tensor(Dtype::F16, &shape, short(&half))),
        ("bf16", tensor(Dtype::BF16, &shape, short(&brain))),
        (
            "f32",
            tensor(
                Dtype::F32,
                &shape,
                float.iter().map(|&n| (n as u32).to_le_bytes()),
            ),
        ),
        (
            "f64",
            tensor(Dtype::F64, &shape, wide.iter().map(|n| n.to_le_bytes())),
        ),
    ]
}

#[test]
fn a_tensor_of_floats_keeps_what_is_not_zero() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut masks = tiny(folder);
    let mut written = Vec::new();
    for (name, first) in nonzero_patterns() {
        masks.insert("fc1.weight", first);
        write(&folder.join("m"), &masks);
        let told = json(folder, ASK);
        assert_eq!(told["layers"][0]["direct"], 7, "{name}");
        written.push(fs::read(folder.join("e")).unwrap());
    }
    assert!(written.iter().all(|file| *file == written[0]));
}

#[test]
fn masks_that_are_not_the_networks_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let whole = tiny(folder);
    let refused = |change: &dyn Fn(&mut Tensors), words: &[&str]| {
        let mut masks = whole.clone();
        change(&mut masks);
        write(&folder.join("m"), &masks);
        for mode in ["exact", "graph"] {
            refused(folder, &format!("{ASK} --mode {mode}"), words);
        }
    };
    let put = |name: &'static str, tensor: Tensor| {
        move |masks: &mut Tensors| drop(masks.insert(name, tensor.clone()))
    };
    refused(
        &|masks| drop(masks.remove("fc2.weight")),
        &["m:", "fc2.weight", "missing"],
    );
    refused(&put("fc3.weight", bytes(&[1], &[1])), &["m:", "fc3.weight"]);
    refused(
        &put("fc1.bias", bytes(&[3], &[1, 1, 1])),
        &["m:", "fc1.bias"],
    );
    // PyTorch's names in a nested module.
    refused(
        &|masks| {
            let first = masks.remove("fc1.weight").unwrap();
            masks.insert("module.fc1.weight", first);
        },
        &["fc1.weight", "missing"],
    );
    // Transposed, flattened, with extra dimensions.
    for shape in [&[4, 3][..], &[12], &[1, 3, 4], &[3, 4, 1]] {
        let first = put("fc1.weight", bytes(shape, &[1; 12]));
        refused(&first, &["fc1.weight", &format!("{shape:?}"), "[3, 4]"]);
    }
    refused(
        &put("fc1.weight", bytes(&[3, 5], &[1; 15])),
        &["[3, 5]", "[3, 4]"],
    );
    for (dtype, name) in [(Dtype::I8, "I8"), (Dtype::I64, "I64"), (Dtype::U16, "U16")] {
        let first = match dtype {
            Dtype::I8 => tensor(dtype, &[3, 4], [[1]; 12]),
            Dtype::U16 => tensor(dtype, &[3, 4], [[1, 0]; 12]),
            _ => tensor(dtype, &[3, 4], [[1, 0, 0, 0, 0, 0, 0, 0]; 12]),
        };
        refused(&put("fc1.weight", first), &["fc1.weight", name, "u8"]);
    }
    refused(&|masks| masks.clear(), &["fc1.weight", "missing"]);
}

#[test]
fn masks_with_impossible_values_are_refused_by_element() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let whole = tiny(folder);
    let refused = |second: Tensor, words: &[&str]| {
        let mut masks = whole.clone();
        masks.insert("fc2.weight", second);
        write(&folder.join("m"), &masks);
        for mode in ["exact", "graph"] {
            refused(folder, &format!("{ASK} --mode {mode}"), words);
        }
    };
    refused(
        bytes(&[2, 3], &[1, 1, 255, 1, 1, 1]),
        &["fc2.weight", "255", "element 2", "0 and 1"],
    );
    let second = |bad: f64| [0.5, bad, 0.0, 1.0, 1.0, 1.0];
    for (bad, shown) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        let words = ["fc2.weight", shown, "element 1"];
        refused(double(&[2, 3], &second(bad)), &words);
        let narrow = second(bad).map(|number| number as f32);
        refused(single(&[2, 3], &narrow), &words);
        refused(
            tensor(
                Dtype::BF16,
                &[2, 3],
                narrow.map(|number| [number.to_le_bytes()[2], number.to_le_bytes()[3]]),
            ),
            &words,
        );
    }
}
