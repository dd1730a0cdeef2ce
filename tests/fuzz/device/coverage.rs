//! What of the kernels the cases reach: everything in which one case takes another way through a
//! kernel than another, on any core.
//!
//! A way is a few words, such as `words last: a row of 7`. Which there are follows from the kernels:
//! [`all`] lists them, [`of`] says which ones a container takes.

use std::collections::{BTreeMap, BTreeSet};

use super::cases::Case;
use rarefy_format::rice::Rice;
use rarefy_format::{
    Columns, Csr, Layer, LayerSpec, Operation, Pooling, Weights, WeightsSpec, Window, Words,
};

/// Ways through the kernels.
pub(crate) type Ways = BTreeSet<String>;

/// How many layers took each way.
#[derive(Default)]
pub(crate) struct Coverage(BTreeMap<String, usize>);

impl Coverage {
    /// Counts the ways of a case.
    pub(crate) fn add(&mut self, case: &Case) {
        for layer in case.model().layers() {
            for way in of(&layer, &case.inputs) {
                *self.0.entry(way).or_default() += 1;
            }
        }
    }

    /// Whether a case takes a way that none took before, of those that there must be.
    pub(crate) fn gains(&self, case: &Case, wanted: &Ways) -> bool {
        let new = |way: &String| wanted.contains(way) && !self.0.contains_key(way);
        let mut layers = case.model().layers();
        layers.any(|layer| of(&layer, &case.inputs).iter().any(new))
    }

    /// The ways that nothing took.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut ways = all();
        ways.retain(|way| !self.0.contains_key(way));
        ways.into_iter().collect()
    }

    /// A table: layers by encoding and operation, then by kernel the ways taken.
    pub(crate) fn report(&self) -> String {
        let mut text = String::from("layers by encoding and operation:\n");
        for (way, count) in &self.0 {
            if let Some(what) = way.strip_prefix(LAYERS) {
                text += &format!("  {what:24} {count:>8}\n");
            }
        }
        let mut kernels: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
        let ways = all();
        for way in &ways {
            if let Some((kernel, what)) = way.split_once(": ").filter(|_| !way.starts_with(LAYERS))
            {
                let count = self.0.get(way).copied().unwrap_or(0);
                kernels.entry(kernel).or_default().push((count, what));
            }
        }
        text += "ways through the kernels that layers took:\n";
        for (kernel, ways) in kernels {
            let taken = ways.iter().filter(|(count, _)| *count > 0).count();
            let (least, what) = ways.iter().min().expect("a kernel has ways");
            let of = ways.len();
            text +=
                &format!("  {kernel:24} {taken:>3} of {of:>3}; least often: {what} ({least})\n");
        }
        text
    }
}

/// What ways begin with that say nothing but encoding and operation.
const LAYERS: &str = "layer: ";

/// Hidden layers store bytes, the last one sums.
const ENDS: [&str; 2] = ["hidden", "last"];
/// What may become of a convolution's sums.
const POOLINGS: [&str; 3] = ["stored", "max", "average"];

/// All ways that there must be.
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

/// Numbers that need their upper bits, by encoding and what they count; see [`large`].
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

/// The ways over maps.
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

/// The ways that `layer` takes where the network reads `inputs`.
fn of(layer: &Layer<'_>, inputs: &[Vec<u8>]) -> Ways {
    let mut ways = Ways::new();
    large(&mut ways, layer);
    let end = ENDS[usize::from(layer.is_last())];
    match layer.operation() {
        Operation::Dense => {
            ways.insert(format!("{LAYERS}{} {end}", layer.encoding().name()));
            match layer.weights() {
                Weights::Words(weights) => words(&mut ways, weights, end),
                Weights::Columns(weights) => columns(&mut ways, weights),
                Weights::Csr(weights) => csr(&mut ways, weights, end),
                Weights::Rice(weights) => rice(&mut ways, &weights, end),
                Weights::Dense(_) => {
                    let class = |count: usize| match (count / 4, count % 4) {
                        (0, rest) => format!("{rest}"),
                        (_, 0) => "4n".to_owned(),
                        (_, rest) => format!("4n + {rest}"),
                    };
                    ways.insert(format!("dense {end}: {} rows", class(layer.outputs())));
                    ways.insert(format!("dense {end}: {} columns", class(layer.columns())));
                }
                Weights::CsrF32(_) => {
                    let place = if layer.index() == 0 { "first" } else { "later" };
                    ways.insert(format!("csr-f32 {end}: {place}"));
                }
                Weights::None => {}
            }
        }
        Operation::Conv { window, pooling } => {
            convolution(&mut ways, layer, window, pooling);
            if layer.index() == 0 && window.stride == 1 {
                for input in inputs {
                    ways.insert(format!("convolution: quads, {} zeros", zeros(input)));
                }
            }
            map(&mut ways, layer, window);
        }
        Operation::Pool { window, pooling } => {
            let pooling = name(Some(pooling));
            ways.insert(format!("{LAYERS}pool {pooling}"));
            ways.insert(format!("pooling: {pooling}, stride {}", window.stride));
            map(&mut ways, layer, window);
        }
    }
    ways
}

/// Inputs, blocks and taps beyond 2^15 (of words, whose index has fewer bits, 2^11), rows and runs of
/// 2^8 and more.
fn large(ways: &mut Ways, layer: &Layer<'_>) {
    let mut found = |what: String| ways.insert(format!("large: {what}"));
    let lists: Vec<Vec<u16>> = match LayerSpec::from_layer(layer).weights {
        WeightsSpec::None => return,
        WeightsSpec::Integers { rows, .. } => {
            let columns = |row: &Vec<(u16, i16)>| row.iter().map(|&(column, _)| column).collect();
            rows.iter().map(columns).collect()
        }
        WeightsSpec::Floats { rows, .. } => {
            let columns = |row: &Vec<(u16, f32)>| row.iter().map(|&(column, _)| column).collect();
            rows.iter().map(columns).collect()
        }
    };
    let last = lists
        .iter()
        .flatten()
        .max()
        .map_or(0, |&column| usize::from(column));
    let name = layer.encoding().name();
    if let Operation::Conv { window, .. } = layer.operation() {
        let (source, size) = (layer.source(), usize::from(window.size));
        if last / size.pow(2) * source.channel_stride() >= 1 << 15 {
            found("convolution far tap".to_owned());
        }
        if source.channel_stride() >= 1 << 15 {
            found("convolution wide map".to_owned());
        }
        return;
    }
    let far = if name == "words" { 1 << 11 } else { 1 << 15 };
    if last >= far {
        found(format!("{name} far input"));
    }
    if lists.iter().any(|row| row.len() >= 1 << 8) {
        found(format!("{name} long row"));
    }
    match layer.weights() {
        Weights::Words(words) if words.runs().any(|run| run.rows >= 1 << 8) => {
            found("words long run".to_owned());
        }
        Weights::Columns(columns) => {
            let mut starts = columns.starts().iter();
            if starts.any(|&start| u16::from_le_bytes(start) >= 1 << 15) {
                found("columns far block".to_owned());
            }
        }
        _ => {}
    }
}

fn words(ways: &mut Ways, words: Words<'_>, end: &str) {
    for run in words.runs() {
        let length = match run.length {
            length @ ..16 => format!("{length}"),
            length => format!("8n + {}", length % 8),
        };
        ways.insert(format!("words {end}: a row of {length}"));
        if (1..=3).contains(&run.length) && end == "hidden" {
            let parity = ["even", "odd"][run.rows % 2];
            ways.insert(format!("words {end}: {parity} rows of {}", run.length));
        }
    }
}

fn columns(ways: &mut Ways, columns: Columns<'_>) {
    let class = |count: u32, round: u32| match (count / round, count % round) {
        (0, rest) => format!("{rest}"),
        (_, rest) => format!("{round}n + {rest}"),
    };
    ways.insert(format!(
        "columns: 8n + {} inputs",
        columns.inputs().len() % 8
    ));
    for &start in columns.starts() {
        let block = columns.blocks().get(usize::from(u16::from_le_bytes(start)));
        let header = block.map_or(0, |&header| u32::from_le_bytes(header));
        ways.insert(format!("columns: {} of both", class(header >> 22, 16)));
        for (count, of) in [(header >> 11 & 0x7FF, "first"), (header & 0x7FF, "second")] {
            let of = if count < 32 { of } else { "one" };
            ways.insert(format!("columns: {} of {of}", class(count, 32)));
        }
    }
}

fn csr(ways: &mut Ways, csr: Csr<'_>, end: &str) {
    for &length in csr.lengths() {
        let class = match u16::from_le_bytes(length) {
            length @ ..8 => format!("{length}"),
            length => format!("8n + {}", length % 8),
        };
        ways.insert(format!("csr {end}: a row of {class}"));
    }
}

fn rice(ways: &mut Ways, rice: &Rice<'_>, end: &str) {
    let head = rice.stream().head;
    for (flag, bit) in [
        ("sorted", 31),
        ("list", 30),
        ("adjacency", 29),
        ("codebook", 28),
    ] {
        let set = ["without", "with"][(head >> bit & 1) as usize];
        ways.insert(format!("rice {end}: {set} {flag}"));
    }
}

fn name(pooling: Option<Pooling>) -> &'static str {
    match pooling {
        None => POOLINGS[0],
        Some(Pooling::Max) => POOLINGS[1],
        Some(Pooling::Average) => POOLINGS[2],
    }
}

/// As `Convolution` of the runtime decides.
fn convolution(ways: &mut Ways, layer: &Layer<'_>, window: Window, pooling: Option<(Pooling, u8)>) {
    let (kind, pool) = (
        name(pooling.map(|(kind, _)| kind)),
        pooling.map_or(1, |(_, size)| size),
    );
    ways.insert(format!("{LAYERS}{} conv {kind}", layer.encoding().name()));
    let shape = layer.output().shape;
    let (height, width) = (usize::from(shape.height), usize::from(shape.width));
    let (pool, stride) = (usize::from(pool), usize::from(window.stride));
    let blocks = stride <= 2 && pool <= 2 && width * pool >= 4;
    let path = match blocks {
        true => format!("blocks, stride {stride}"),
        false => "one by one".to_owned(),
    };
    // A pool of one position is none to the kernels, but for negative sums.
    let kind = if pool == 1 { POOLINGS[0] } else { kind };
    let skip = if layer.skip().is_some() {
        "skip"
    } else {
        "plain"
    };
    ways.insert(format!("convolution: {path}, {kind}, {skip}"));
    if blocks {
        let width = match width * pool {
            4 => "4",
            5..8 => "5 to 7",
            width => match width % 8 {
                0 => "8n",
                1..5 => "8n + 1 to 4",
                _ => "8n + 5 to 7",
            },
        };
        ways.insert(format!("convolution: {path}, width {width}"));
    }
    let grouped = blocks && stride == 1 && height * width * pool * pool >= 32;
    if let WeightsSpec::Integers { rows, .. } = LayerSpec::from_layer(layer).weights {
        for row in rows {
            let columns = row.iter().filter(|(_, weight)| *weight != 0);
            let columns: Vec<u16> = columns.map(|&(column, _)| column).collect();
            let taps = match columns.len() {
                0 => "no",
                1 => "1",
                count if count % 2 == 0 => "even",
                _ => "odd",
            };
            ways.insert(format!("convolution: {taps} taps"));
            if grouped {
                quads(ways, &columns, u16::from(window.size));
            }
        }
    }
}

/// Taps of one row of the kernel that are less than four apart: three or four become a quad.
fn quads(ways: &mut Ways, mut columns: &[u16], size: u16) {
    while let Some((&first, _)) = columns.split_first() {
        let end = (first / size * size + size).min(first + 4);
        let count = columns.partition_point(|&column| column < end);
        let (group, rest) = columns.split_at(count);
        columns = rest;
        let group: Vec<String> = group.iter().map(|tap| (tap - first).to_string()).collect();
        let taps = if group.len() < 3 {
            "none".to_owned()
        } else {
            group.join(" ")
        };
        ways.insert(format!("convolution: quads, taps {taps}"));
    }
}

/// Whether the runtime looks for zeros in a map before it multiplies. It samples the map with its
/// margins, so what is near its limit of 12 samples is left open.
fn zeros(source: &[u8]) -> &'static str {
    let apart = (source.len() / 32).max(4) | 1;
    let samples = source.chunks_exact(apart).filter_map(<[u8]>::first_chunk);
    match samples.filter(|&&word| word == [0; 4]).count() {
        0..8 => "few",
        8..16 => "some",
        _ => "many",
    }
}

/// Margins and links.
fn map(ways: &mut Ways, layer: &Layer<'_>, window: Window) {
    let padding = window.padding;
    let sides = [
        ("top", padding.top),
        ("left", padding.left),
        ("bottom", padding.bottom),
        ("right", padding.right),
    ];
    let padded = sides.iter().filter(|(_, width)| *width > 0);
    ways.extend(
        padded
            .clone()
            .map(|(side, _)| format!("maps: padding {side}")),
    );
    if padded.count() == sides.len() {
        ways.insert("maps: padding all".to_owned());
    }
    for (what, buffer) in [("reads", layer.source()), ("writes", layer.output())] {
        let margin = if buffer.margin.is_none() {
            "none"
        } else {
            "some"
        };
        ways.insert(format!("maps: {what} a margin, {margin}"));
    }
    let (index, source) = (layer.index(), layer.source());
    let links = layer.links().map(|links| (links.source, links.skip));
    for (linked, what) in [
        (
            links.is_some_and(|(source, _)| source > 1),
            "reads farther back",
        ),
        (links.is_some_and(|(_, skip)| skip > 1), "adds farther back"),
        (index == 0 && source.words > 0, "copies the input"),
    ] {
        if linked {
            ways.insert(format!("maps: {what}"));
        }
    }
}
