//! All paths that the kernels distinguish.

use super::{ENDS, LAYERS, POOLINGS, Paths};

/// Returns all paths that the kernels distinguish.
pub(crate) fn all() -> Paths {
    let mut paths = Paths::new();
    let encodings = ["dense", "csr", "words", "columns", "rice", "csr-f32"];
    for end in ENDS {
        for encoding in encodings {
            paths.insert(format!("{LAYERS}{encoding} {end}"));
        }
        for place in ["first", "later"] {
            paths.insert(format!("csr-f32 {end}: {place}"));
        }
        for class in 0..8 {
            let length = format!("csr {end}: a row of");
            paths.extend([
                format!("{length} {class}"),
                format!("{length} 8n + {class}"),
            ]);
            paths.insert(format!("words {end}: a row of 8n + {class}"));
        }
        paths.extend((0..16).map(|length| format!("words {end}: a row of {length}")));
        for rows in ["1", "2", "3", "4n", "4n + 1", "4n + 2", "4n + 3"] {
            paths.insert(format!("dense {end}: {rows} rows"));
        }
        for columns in ["1", "2", "3", "4n", "4n + 1", "4n + 2", "4n + 3"] {
            paths.insert(format!("dense {end}: {columns} columns"));
        }
        for flag in ["sorted", "list", "adjacency", "codebook"] {
            for set in ["with", "without"] {
                paths.insert(format!("rice {end}: {set} {flag}"));
            }
        }
    }
    for length in 1..=3 {
        for parity in ["odd", "even"] {
            paths.insert(format!("words hidden: {parity} rows of {length}"));
        }
    }
    for class in 0..16 {
        paths.extend([
            format!("columns: {class} of both"),
            format!("columns: 16n + {class} of both"),
        ]);
    }
    for class in 0..32 {
        for of in ["first", "second"] {
            paths.insert(format!("columns: {class} of {of}"));
        }
        paths.insert(format!("columns: 32n + {class} of one"));
    }
    paths.extend((0..8).map(|class| format!("columns: 8n + {class} inputs")));
    paths.extend(LARGE.map(|what| format!("large: {what}")));
    maps(&mut paths);
    paths
}

/// Paths with large numbers; see `taken::large`.
const LARGE: [&str; 14] = [
    "csr far input",
    "csr long row",
    "csr-f32 far input",
    "csr-f32 long row",
    "dense far input",
    "dense long row",
    "rice far input",
    "rice long row",
    "words far input",
    "words long row",
    "words long run",
    "columns far block",
    "convolution far tap",
    "convolution wide map",
];

/// Adds the paths of convolutions and pooling.
fn maps(paths: &mut Paths) {
    for encoding in ["dense", "csr", "words", "rice"] {
        for pooling in POOLINGS {
            paths.insert(format!("{LAYERS}{encoding} conv {pooling}"));
        }
    }
    for pooling in &POOLINGS[1..] {
        paths.insert(format!("{LAYERS}pool {pooling}"));
        for stride in 1..=3 {
            paths.insert(format!("pooling: {pooling}, stride {stride}"));
        }
    }
    for path in ["one by one", "blocks, stride 1", "blocks, stride 2"] {
        for pooling in POOLINGS {
            for skip in ["plain", "skip"] {
                paths.insert(format!("convolution: {path}, {pooling}, {skip}"));
            }
        }
    }
    for stride in 1..=2 {
        for width in ["4", "5 to 7", "8n", "8n + 1 to 4", "8n + 5 to 7"] {
            paths.insert(format!(
                "convolution: blocks, stride {stride}, width {width}"
            ));
        }
    }
    for taps in ["no", "1", "even", "odd"] {
        paths.insert(format!("convolution: {taps} taps"));
    }
    for quad in ["0 1 2", "0 1 3", "0 2 3", "0 1 2 3", "none"] {
        paths.insert(format!("convolution: quads, taps {quad}"));
    }
    for zeros in ["few", "many"] {
        paths.insert(format!("convolution: quads, {zeros} zeros"));
    }
    for kind in ["conv", "pool"] {
        for square in ["square", "oblong"] {
            for even in ["even", "uneven"] {
                paths.insert(format!("maps: {kind}, {square}, {even} strides"));
            }
        }
        paths.insert(format!("maps: {kind}, more than 15 rows or columns"));
    }
    for margin in ["top", "left", "bottom", "right", "all"] {
        paths.insert(format!("maps: padding {margin}"));
    }
    for (what, margins) in [("reads", ["none", "some"]), ("writes", ["none", "some"])] {
        paths.extend(margins.map(|margin| format!("maps: {what} a margin, {margin}")));
    }
    for linked in [
        "reads farther back",
        "adds farther back",
        "copies the input",
    ] {
        paths.insert(format!("maps: {linked}"));
    }
}
