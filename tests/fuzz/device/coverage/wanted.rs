//! All ways that the kernels distinguish.

use super::{ENDS, LAYERS, POOLINGS, Ways};

/// Returns all ways that the kernels distinguish.
pub(crate) fn all() -> Ways {
    let mut ways = Ways::new();
    let encodings = ["dense", "csr", "words", "columns", "rice", "csr-f32"];
    for end in ENDS {
        for encoding in encodings {
            ways.insert(format!("{LAYERS}{encoding} {end}"));
        }
        for place in ["first", "later"] {
            ways.insert(format!("csr-f32 {end}: {place}"));
        }
        for class in 0..8 {
            let length = format!("csr {end}: a row of");
            ways.extend([
                format!("{length} {class}"),
                format!("{length} 8n + {class}"),
            ]);
            ways.insert(format!("words {end}: a row of 8n + {class}"));
        }
        ways.extend((0..16).map(|length| format!("words {end}: a row of {length}")));
        for rows in ["1", "2", "3", "4n", "4n + 1", "4n + 2", "4n + 3"] {
            ways.insert(format!("dense {end}: {rows} rows"));
        }
        for columns in ["1", "2", "3", "4n", "4n + 1", "4n + 2", "4n + 3"] {
            ways.insert(format!("dense {end}: {columns} columns"));
        }
        for flag in ["sorted", "list", "adjacency", "codebook"] {
            for set in ["with", "without"] {
                ways.insert(format!("rice {end}: {set} {flag}"));
            }
        }
    }
    for length in 1..=3 {
        for parity in ["odd", "even"] {
            ways.insert(format!("words hidden: {parity} rows of {length}"));
        }
    }
    for class in 0..16 {
        ways.extend([
            format!("columns: {class} of both"),
            format!("columns: 16n + {class} of both"),
        ]);
    }
    for class in 0..32 {
        for of in ["first", "second"] {
            ways.insert(format!("columns: {class} of {of}"));
        }
        ways.insert(format!("columns: 32n + {class} of one"));
    }
    ways.extend((0..8).map(|class| format!("columns: 8n + {class} inputs")));
    ways.extend(LARGE.map(|what| format!("large: {what}")));
    maps(&mut ways);
    ways
}

/// Ways with large numbers; see `taken::large`.
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

/// Adds the ways of convolutions and pooling.
fn maps(ways: &mut Ways) {
    for encoding in ["dense", "csr", "words", "rice"] {
        for pooling in POOLINGS {
            ways.insert(format!("{LAYERS}{encoding} conv {pooling}"));
        }
    }
    for pooling in &POOLINGS[1..] {
        ways.insert(format!("{LAYERS}pool {pooling}"));
        for stride in 1..=3 {
            ways.insert(format!("pooling: {pooling}, stride {stride}"));
        }
    }
    for path in ["one by one", "blocks, stride 1", "blocks, stride 2"] {
        for pooling in POOLINGS {
            for skip in ["plain", "skip"] {
                ways.insert(format!("convolution: {path}, {pooling}, {skip}"));
            }
        }
    }
    for stride in 1..=2 {
        for width in ["4", "5 to 7", "8n", "8n + 1 to 4", "8n + 5 to 7"] {
            ways.insert(format!(
                "convolution: blocks, stride {stride}, width {width}"
            ));
        }
    }
    for taps in ["no", "1", "even", "odd"] {
        ways.insert(format!("convolution: {taps} taps"));
    }
    for quad in ["0 1 2", "0 1 3", "0 2 3", "0 1 2 3", "none"] {
        ways.insert(format!("convolution: quads, taps {quad}"));
    }
    for zeros in ["few", "many"] {
        ways.insert(format!("convolution: quads, {zeros} zeros"));
    }
    for margin in ["top", "left", "bottom", "right", "all"] {
        ways.insert(format!("maps: padding {margin}"));
    }
    for (what, margins) in [("reads", ["none", "some"]), ("writes", ["none", "some"])] {
        ways.extend(margins.map(|margin| format!("maps: {what} a margin, {margin}")));
    }
    for linked in [
        "reads farther back",
        "adds farther back",
        "copies the input",
    ] {
        ways.insert(format!("maps: {linked}"));
    }
}
