//! Measures the committed networks on their boards: as containers, and some as straight-line code.

use std::fs;
use std::path::PathBuf;

use rarefy_format::{
    AlignedBytes, Encoding, Layer, LayerSpec, Model, NetworkSpec, Operation, write,
};
use rarefy_trainer::data::folder;
use rarefy_trainer::deploy::costs::Core;
use rarefy_trainer::deploy::emit;
use rarefy_trainer::device::{self, Board, NetworkReport};

use super::table::{self, Table};
use super::{Bench, Outcome};

/// Networks that are also measured as code.
const STRAIGHT: [&str; 3] = [
    "lenet-300-100-100x-code-m4",
    "lenet-300-100-300x-code-m4",
    "lenet-300-100-1000x-code-m4",
];

/// A container of `tests/networks`.
pub(super) struct Committed {
    /// File name without extension.
    pub(super) name: String,
    /// Contents of the file.
    pub(super) bytes: AlignedBytes,
    /// Cores to measure the network on: the one in its name, or else Cortex-M4, Cortex-M0 and
    /// RISC-V. Convolutional networks for the Cortex-M4 and those measured as code are measured on
    /// RISC-V, too.
    pub(super) cores: Vec<Core>,
}

/// Reads the containers of `tests/networks` that `bench` measures, sorted by name.
pub(super) fn committed(bench: &Bench) -> Outcome<Vec<Committed>> {
    let refuse = |e: std::io::Error| format!("{}: {e}", bench.networks.display());
    let entries = fs::read_dir(&bench.networks).map_err(refuse)?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "rfy"));
    paths.sort();
    let each = |path: PathBuf| {
        let bytes = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let speed = name.starts_with("lenet-300-100") && !STRAIGHT.contains(&&*name);
        let cores = if name.ends_with("-m4") && speed {
            vec![Core::M4]
        } else if name.ends_with("-m4") {
            vec![Core::M4, Core::Rv32]
        } else if name.ends_with("-m0") {
            vec![Core::M0]
        } else if name.ends_with("-rv32") {
            vec![Core::Rv32]
        } else {
            vec![Core::M4, Core::M0, Core::Rv32]
        };
        Ok(Committed {
            name: name.into_owned(),
            bytes: AlignedBytes::copy_from(&bytes),
            cores,
        })
    };
    let mut networks: Vec<Committed> = paths.into_iter().map(each).collect::<Outcome<_>>()?;
    networks.retain(|network| !bench.short || super::SHORT.contains(&network.name.as_str()));
    Ok(networks)
}

/// Reads the first 100 test images of MNIST.
pub(super) fn digits(bench: &Bench) -> Outcome<Vec<Vec<u8>>> {
    let data = folder::load(&bench.networks.join("digits")).map_err(|e| e.to_string())?;
    Ok((0..data.test.len())
        .map(|index| data.test.image(index).to_vec())
        .collect())
}

/// Returns the mean number of instructions of an inference. Returns an error if the network does
/// not fit on the board, or if a logit differs from the workstation's.
pub(super) fn instructions(network: &NetworkReport, name: &str, board: &Board) -> Outcome<f64> {
    if network.matches_host != Some(true) {
        return Err(match network.over_by {
            Some(bytes) => format!("{name} is {bytes} bytes too large for {}", board.name),
            None => format!(
                "{name} computes other logits on {} than on the workstation",
                board.name
            ),
        });
    }
    let counts = network.cost.counts();
    Ok(counts.ok_or("the board reported no instructions")?.mean)
}

/// Measures the container `bytes` on `board`.
pub(super) fn count(
    bench: &Bench,
    board: &Board,
    (name, bytes): (&str, &[u8]),
    inputs: &[Vec<u8>],
) -> Outcome<NetworkReport> {
    let report = device::measure(board, bytes, inputs, &bench.options, &mut |_| {});
    let network = report
        .map_err(|e| format!("{name} on {}: {e}", board.name))?
        .network;
    eprintln!(
        "{name} on {}: {}",
        board.name,
        instructions(&network, name, board)?
    );
    Ok(network)
}

/// Measures all committed networks and adds their figures to `table`.
pub(super) fn measure(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let digits = digits(bench)?;
    for Committed { name, bytes, cores } in committed(bench)? {
        let refuse = |e: &dyn std::fmt::Display| format!("{name}: {e}");
        let model = Model::parse(&bytes).map_err(|e| refuse(&e))?;
        let blocks: usize = model.layers().map(|layer| layer.block().len()).sum();
        table.put(table::BYTES, &name, "", bytes.len() as f64);
        // Header, records, geometries of convolutions, links, and padding between blocks.
        let fixed = bytes.len() - blocks;
        table.put(table::FIXED, &name, "", fixed as f64);
        table.put(table::ARENA, &name, "", 4.0 * model.arena_words() as f64);
        let dense = |layer: Layer<'_>| matches!(layer.operation(), Operation::Dense);
        let encoding = model.layers().next().map(|layer| layer.encoding());
        let chain = model
            .layers()
            .all(|layer| Some(layer.encoding()) == encoding && dense(layer));
        for &core in &cores {
            let board = bench.board(core)?;
            let network = count(bench, board, (&name, &bytes), &digits)?;
            let stack = network.ram.and_then(|ram| ram.stack_inference);
            let mean = instructions(&network, &name, board)?;
            table.put(table::COUNT, &name, &board.name, mean);
            put_cycles(table, &name, board, &network)?;
            let load = network
                .load
                .ok_or("the board reported no cost of loading")?;
            table.put(table::LOAD, &name, &board.name, load as f64);
            let stack = stack.ok_or("the board reported no stack depth")?;
            table.put_stack(&name, &board.name, stack, chain);
            if let Some((prefix, products)) = convolutions(&model) {
                let bytes = write(&prefix).map_err(|e| refuse(&e))?;
                let what = format!("{name}, convolutions alone");
                let network = count(bench, board, (&what, &bytes), &digits)?;
                let mean = instructions(&network, &what, board)?;
                let each = mean / products;
                table.put(table::EACH, &name, &board.name, each);
            }
        }
        if STRAIGHT.contains(&name.as_str()) {
            for core in [Core::M4, Core::Rv32] {
                let board = bench.board(core)?;
                straight(bench, table, board, &name, &model, &digits)?;
            }
        }
    }
    Ok(())
}

/// Adds the bounds of the estimated cycles to `table`, if the core of `board` has a table of them.
fn put_cycles(
    table: &mut Table,
    name: &str,
    board: &Board,
    network: &NetworkReport,
) -> Outcome<()> {
    let Some(estimate) = &network.estimate else {
        return match (&board.name, &network.no_estimate) {
            (board, _) if *board == table::RV32 => Ok(()),
            (board, why) => Err(format!(
                "no cycles of {name} on {board}: {}",
                why.as_deref().unwrap_or("the report has none")
            )),
        };
    };
    table.put(table::LEAST, name, &board.name, estimate.median.low as f64);
    table.put(table::MOST, name, &board.name, estimate.median.high as f64);
    Ok(())
}

/// Returns the network up to its last convolution, followed by a dense layer without weights, and
/// the number of multiplications by the nonzeros of its convolutions. Returns `None` if there is no
/// convolution.
fn convolutions(model: &Model<'_>) -> Option<(NetworkSpec, f64)> {
    let mut spec = NetworkSpec::from_model(model);
    let conv = |layer: &LayerSpec| matches!(layer.operation, Operation::Conv { .. });
    let last = spec.layers.iter().rposition(conv)?;
    let products = model.layers().zip(&spec.layers).map(|(layer, spec)| {
        let positions = usize::from(layer.sums().height) * usize::from(layer.sums().width);
        let nonzeros = if conv(spec) { spec.weights.len() } else { 0 };
        (nonzeros * positions) as f64
    });
    let products = products.sum();
    spec.layers.truncate(last + 1);
    spec.layers.push(empty(1));
    Some((spec, products))
}

/// Returns a dense layer without weights.
fn empty(outputs: usize) -> LayerSpec {
    LayerSpec::dense(
        Encoding::Csr,
        0,
        vec![0; outputs],
        vec![Vec::new(); outputs],
    )
}

/// Measures the network as code: its instructions, and the flash that it takes beyond that of a
/// program whose network has no weights.
fn straight(
    bench: &Bench,
    table: &mut Table,
    board: &Board,
    name: &str,
    model: &Model<'_>,
    digits: &[Vec<u8>],
) -> Outcome<()> {
    let refuse = |e: &dyn std::fmt::Display| format!("{name} as code: {e}");
    let run = |spec: &NetworkSpec| {
        let code = emit::rust(spec, name, 0).map_err(|e| refuse(&e))?;
        let bytes = write(spec).map_err(|e| refuse(&e))?;
        let report =
            device::measure_code(board, &bytes, &code, digits, &bench.options, &mut |_| {});
        report.map_err(|e| refuse(&e))
    };
    let spec = NetworkSpec::from_model(model);
    let empty = NetworkSpec {
        input: spec.input,
        layers: vec![empty(model.outputs())],
    };
    let (network, empty) = (run(&spec)?, run(&empty)?);
    let mean = instructions(&network, name, board)?;
    let flash = |report: &NetworkReport| report.flash.map_or(0, |flash| flash.code);
    let bytes = flash(&network).saturating_sub(flash(&empty));
    eprintln!("{name} as code on {}: {mean}", board.name);
    table.put(table::CODE, name, &board.name, mean);
    put_cycles(table, &format!("{name}, as code"), board, &network)?;
    table.put(table::FLASH, name, &board.name, bytes as f64);
    Ok(())
}
