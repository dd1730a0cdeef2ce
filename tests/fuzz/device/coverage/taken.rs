//! The paths that a layer takes.

use rarefy_format::rice::Rice;
use rarefy_format::{
    Columns, Csr, Layer, LayerSpec, Operation, Pooling, Weights, WeightsSpec, Window, Words,
};

use super::{ENDS, LAYERS, POOLINGS, Paths};

/// Returns the paths that `layer` takes in a network that reads `inputs`.
pub(super) fn of(layer: &Layer<'_>, inputs: &[Vec<u8>]) -> Paths {
    let mut paths = Paths::new();
    large(&mut paths, layer);
    let end = ENDS[usize::from(layer.is_last())];
    match layer.operation() {
        Operation::Dense => {
            paths.insert(format!("{LAYERS}{} {end}", layer.encoding().name()));
            match layer.weights() {
                Weights::Words(weights) => words(&mut paths, weights, end),
                Weights::Columns(weights) => columns(&mut paths, weights),
                Weights::Csr(weights) => csr(&mut paths, weights, end),
                Weights::Rice(weights) => rice(&mut paths, &weights, end),
                Weights::Dense(_) => {
                    let class = |count: usize| match (count / 4, count % 4) {
                        (0, rest) => format!("{rest}"),
                        (_, 0) => "4n".to_owned(),
                        (_, rest) => format!("4n + {rest}"),
                    };
                    paths.insert(format!("dense {end}: {} rows", class(layer.outputs())));
                    paths.insert(format!("dense {end}: {} columns", class(layer.columns())));
                }
                Weights::CsrF32(_) => {
                    let place = if layer.index() == 0 { "first" } else { "later" };
                    paths.insert(format!("csr-f32 {end}: {place}"));
                }
                Weights::None => {}
            }
        }
        Operation::Conv { window, pooling } => {
            convolution(&mut paths, layer, window, pooling);
            if layer.index() == 0 && window.stride[1] == 1 {
                for input in inputs {
                    paths.insert(format!("convolution: quads, {} zeros", zeros(input)));
                }
            }
            map(&mut paths, layer, window);
        }
        Operation::Pool { window, pooling } => {
            let pooling = name(Some(pooling));
            paths.insert(format!("{LAYERS}pool {pooling}"));
            let [down, across] = window.stride;
            paths.insert(format!("pooling: {pooling}, stride {}", down.max(across)));
            map(&mut paths, layer, window);
        }
    }
    paths
}

/// Adds the paths with large numbers: offsets of inputs, blocks and taps of at least 2^15 (at least
/// 2^11 in `words`, whose index has fewer bits), and rows and runs of length 2^8 or more.
fn large(paths: &mut Paths, layer: &Layer<'_>) {
    let mut found = |what: String| paths.insert(format!("large: {what}"));
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
        let source = layer.source();
        if last / window.area() * source.channel_stride() >= 1 << 15 {
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

fn words(paths: &mut Paths, words: Words<'_>, end: &str) {
    for run in words.runs() {
        let length = match run.length {
            length @ ..16 => format!("{length}"),
            length => format!("8n + {}", length % 8),
        };
        paths.insert(format!("words {end}: a row of {length}"));
        if (1..=3).contains(&run.length) && end == "hidden" {
            let parity = ["even", "odd"][run.rows % 2];
            paths.insert(format!("words {end}: {parity} rows of {}", run.length));
        }
    }
}

fn columns(paths: &mut Paths, columns: Columns<'_>) {
    let class = |count: u32, round: u32| match (count / round, count % round) {
        (0, rest) => format!("{rest}"),
        (_, rest) => format!("{round}n + {rest}"),
    };
    paths.insert(format!(
        "columns: 8n + {} inputs",
        columns.inputs().len() % 8
    ));
    for &start in columns.starts() {
        let block = columns.blocks().get(usize::from(u16::from_le_bytes(start)));
        let header = block.map_or(0, |&header| u32::from_le_bytes(header));
        paths.insert(format!("columns: {} of both", class(header >> 22, 16)));
        for (count, of) in [(header >> 11 & 0x7FF, "first"), (header & 0x7FF, "second")] {
            let of = if count < 32 { of } else { "one" };
            paths.insert(format!("columns: {} of {of}", class(count, 32)));
        }
    }
}

fn csr(paths: &mut Paths, csr: Csr<'_>, end: &str) {
    for &length in csr.lengths() {
        let class = match u16::from_le_bytes(length) {
            length @ ..8 => format!("{length}"),
            length => format!("8n + {}", length % 8),
        };
        paths.insert(format!("csr {end}: a row of {class}"));
    }
}

fn rice(paths: &mut Paths, rice: &Rice<'_>, end: &str) {
    let head = rice.stream().head;
    for (flag, bit) in [
        ("sorted", 31),
        ("list", 30),
        ("adjacency", 29),
        ("codebook", 28),
    ] {
        let set = ["without", "with"][(head >> bit & 1) as usize];
        paths.insert(format!("rice {end}: {set} {flag}"));
    }
}

fn name(pooling: Option<Pooling>) -> &'static str {
    match pooling {
        None => POOLINGS[0],
        Some(Pooling::Max) => POOLINGS[1],
        Some(Pooling::Average) => POOLINGS[2],
    }
}

/// Adds the paths of a convolution, which the runtime's `Convolution` chooses.
fn convolution(
    paths: &mut Paths,
    layer: &Layer<'_>,
    window: Window,
    pooling: Option<(Pooling, u8)>,
) {
    let (kind, pool) = (
        name(pooling.map(|(kind, _)| kind)),
        pooling.map_or(1, |(_, size)| size),
    );
    paths.insert(format!("{LAYERS}{} conv {kind}", layer.encoding().name()));
    let shape = layer.output().shape;
    let (height, width) = (usize::from(shape.height), usize::from(shape.width));
    let (pool, stride) = (usize::from(pool), usize::from(window.stride[1]));
    let blocks = stride <= 2 && pool <= 2 && width * pool >= 4;
    let path = match blocks {
        true => format!("blocks, stride {stride}"),
        false => "one by one".to_owned(),
    };
    // The kernels treat pooling of a single position as none.
    let kind = if pool == 1 { POOLINGS[0] } else { kind };
    let skip = if layer.skip().is_some() {
        "skip"
    } else {
        "plain"
    };
    paths.insert(format!("convolution: {path}, {kind}, {skip}"));
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
        paths.insert(format!("convolution: {path}, width {width}"));
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
            paths.insert(format!("convolution: {taps} taps"));
            if grouped {
                quads(paths, &columns, u16::from(window.size[1]));
            }
        }
    }
}

/// Adds the paths of groups of taps. A group consists of taps in one row of the kernel that are
/// less than four columns apart; on an M4, three or four taps become a quad.
fn quads(paths: &mut Paths, mut columns: &[u16], width: u16) {
    while let Some((&first, _)) = columns.split_first() {
        let end = (first / width * width + width).min(first + 4);
        let count = columns.partition_point(|&column| column < end);
        let (group, rest) = columns.split_at(count);
        columns = rest;
        let group: Vec<String> = group.iter().map(|tap| (tap - first).to_string()).collect();
        let taps = if group.len() < 3 {
            "none".to_owned()
        } else {
            group.join(" ")
        };
        paths.insert(format!("convolution: quads, taps {taps}"));
    }
}

/// Returns whether the runtime considers a map to have `few` or `many` zeros. The runtime samples
/// the map with its margins, which `source` lacks, so the result is `some` if the number of zero
/// samples is close to the runtime's limit of 12.
fn zeros(source: &[u8]) -> &'static str {
    let apart = (source.len() / 32).max(4) | 1;
    let samples = source.chunks_exact(apart).filter_map(<[u8]>::first_chunk);
    match samples.filter(|&&word| word == [0; 4]).count() {
        0..8 => "few",
        8..16 => "some",
        _ => "many",
    }
}

/// Adds the paths of margins and links.
fn map(paths: &mut Paths, layer: &Layer<'_>, window: Window) {
    let Window {
        size: [height, width],
        stride: [down, across],
        padding,
    } = window;
    let square = if height == width { "square" } else { "oblong" };
    let even = if down == across { "even" } else { "uneven" };
    let kind = layer.operation().name();
    paths.insert(format!("maps: {kind}, {square}, {even} strides"));
    if height.max(width) > 15 {
        paths.insert(format!("maps: {kind}, more than 15 rows or columns"));
    }
    let sides = [
        ("top", padding.top),
        ("left", padding.left),
        ("bottom", padding.bottom),
        ("right", padding.right),
    ];
    let padded = sides.iter().filter(|(_, width)| *width > 0);
    paths.extend(
        padded
            .clone()
            .map(|(side, _)| format!("maps: padding {side}")),
    );
    if padded.count() == sides.len() {
        paths.insert("maps: padding all".to_owned());
    }
    for (what, buffer) in [("reads", layer.source()), ("writes", layer.output())] {
        let margin = if buffer.margin.is_none() {
            "none"
        } else {
            "some"
        };
        paths.insert(format!("maps: {what} a margin, {margin}"));
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
            paths.insert(format!("maps: {what}"));
        }
    }
}
