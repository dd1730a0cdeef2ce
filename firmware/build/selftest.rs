//! The cases of the self-test: golden containers, one per encoding and kind of layer.
//!
//! A golden container `NAME.rfy` comes with `NAME.txt`, each line of which has an input in
//! hexadecimal and its logits. The build fails if their numbers do not fit the container.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rarefy_format::Model;

/// Returns the golden containers in the folder `golden`, sorted by name.
pub(crate) fn containers(golden: &Path) -> Vec<PathBuf> {
    let mut containers: Vec<_> = fs::read_dir(golden)
        .unwrap_or_else(|e| panic!("cannot list {}: {e}", golden.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rfy"))
        .collect();
    containers.sort();
    assert!(
        !containers.is_empty(),
        "no golden container in {}",
        golden.display()
    );
    containers
}

/// Writes `selftest.rs`, which defines `ARENA_WORDS` and `CASES`.
pub(crate) fn generate(containers: &[PathBuf], out: &Path) {
    let (mut cases, mut statics) = (String::new(), String::new());
    let mut arena_words = 0;
    for (number, path) in containers.iter().enumerate() {
        let bytes = super::read(path);
        let model = Model::parse(&bytes)
            .unwrap_or_else(|e| panic!("{} is not a model: {e}", path.display()));
        arena_words = arena_words.max(model.arena_words());
        let rows = rows(&path.with_extension("txt"), &model);
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let length = bytes.len();
        writeln!(
            statics,
            "static MODEL_{number}: rarefy_format::Aligned<[u8; {length}]> =\n    \
             rarefy_format::Aligned({bytes:?});\n\
             static ANSWERS_{number}: &[(&[u8], &[i32])] = &[\n{rows}];"
        )
        .expect("writing to a string cannot fail");
        writeln!(
            cases,
            "    Case {{ name: {name:?}, model: &MODEL_{number}.0, answers: ANSWERS_{number} }},"
        )
        .expect("writing to a string cannot fail");
    }
    let source = format!(
        "{statics}\n/// Words of the largest arena.\nconst ARENA_WORDS: usize = {arena_words};\n\n\
         /// The containers and their answers.\nstatic CASES: &[Case] = &[\n{cases}];\n"
    );
    super::write(&out.join("selftest.rs"), source.as_bytes());
}

/// Returns the inputs and logits that `path` lists, as Rust source.
fn rows(path: &Path, model: &Model<'_>) -> String {
    let text = String::from_utf8(super::read(path)).expect("answers are text");
    let mut rows = String::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let reject = || -> ! {
            panic!(
                "{}: the line `{line}` does not fit the model",
                path.display()
            )
        };
        let mut words = line.split_whitespace();
        let hexadecimal = words.next().unwrap_or_default().as_bytes();
        let input: Option<Vec<u8>> = hexadecimal
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let logits: Result<Vec<i32>, _> = words.map(str::parse).collect();
        let (Some(input), Ok(logits)) = (input, logits) else {
            reject()
        };
        if input.len() != model.inputs() || logits.len() != model.outputs() {
            reject();
        }
        writeln!(rows, "    (&{input:?}, &{logits:?}),").expect("writing to a string cannot fail");
    }
    assert!(!rows.is_empty(), "{} lists no answers", path.display());
    rows
}
