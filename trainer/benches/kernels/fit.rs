//! What each unit of work costs on each core: the table of `costs.rs`.
//!
//! Every network, committed or made for the purpose, says that so many of each unit took so many
//! instructions; the costs are those with the least squared relative error over all of them.

use rarefy_format::{AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, write};
use rarefy_trainer::deploy::costs::{COSTS, Core, Unit, inference};

use super::networks::{Committed, committed, count, digits, instructions};
use super::{Bench, Outcome};
use super::{convolutions, resnet, synthetic};

/// How much more an error in a committed network matters: they are real.
const REAL: f64 = 5.0;

/// What pulls a cost towards the one in the table where no network tells it apart.
const PULL: f64 = 1e-6;

/// Units whose instructions stand in the assembly one by one: the table has them as they are.
const EXACT: [Unit; 10] = [
    Unit::ConvQuad,
    Unit::ConvLook,
    Unit::ConvSkipped,
    Unit::ConvPair,
    Unit::ConvPairLook,
    Unit::ConvHalf,
    Unit::ConvQuad4,
    Unit::ConvPair4,
    Unit::ConvTap8,
    Unit::ConvTap4,
];

/// Whether an input at a place is not 0.
type Active = fn(usize) -> bool;

/// A network that was counted: of each unit how many, and the instructions.
struct Counted {
    name: String,
    weight: f64,
    units: Vec<f64>,
    instructions: f64,
}

/// Counts, fits, and prints the table as it is to stand in `costs.rs`.
pub(super) fn costs(bench: &Bench) -> Outcome<()> {
    let mut columns = Vec::new();
    for core in [Core::M4, Core::M3, Core::M0] {
        let counted = counted(bench, core)?;
        let old: Vec<f64> = COSTS
            .iter()
            .map(|(_, costs)| costs[core as usize])
            .collect();
        let costs = fit(&counted, &old)?;
        println!("{core:?}: networks that are predicted a twentieth too low or too high");
        for (what, costs) in [("in the table", &old), ("fitted", &costs)] {
            for network in &counted {
                let error = 100.0 * network.error(costs);
                if error.abs() > 5.0 {
                    println!("  {what}: {} {error:+.1} %", network.name);
                }
            }
        }
        columns.push(costs);
    }
    println!("\npub const COSTS: [(Unit, [f64; 3]); {}] = [", COSTS.len());
    for (line, (unit, _)) in COSTS.iter().enumerate() {
        let costs: Vec<String> = columns.iter().map(|costs| digits3(costs[line])).collect();
        println!("    (Unit::{unit:?}, [{}]),", costs.join(", "));
    }
    println!("];");
    Ok(())
}

/// A cost with as many decimals as it deserves.
fn digits3(cost: f64) -> String {
    let cost = cost.max(0.0);
    match cost {
        100.0.. => format!("{cost:.0}.0"),
        10.0.. => format!("{cost:.1}"),
        _ => format!("{cost:.2}"),
    }
}

impl Counted {
    /// By how much `costs` predict too much, relatively.
    fn error(&self, costs: &[f64]) -> f64 {
        let predicted: f64 = self.units.iter().zip(costs).map(|(n, cost)| n * cost).sum();
        predicted / self.instructions - 1.0
    }
}

/// Counts every network on the board of `core`.
fn counted(bench: &Bench, core: Core) -> Outcome<Vec<Counted>> {
    let board = bench.board(core)?;
    let mut networks = Vec::new();
    let mut add = |name: String, weight: f64, bytes: &[u8], inputs: &[Vec<u8>]| -> Outcome<()> {
        let network = count(bench, board, (&name, bytes), inputs)?;
        let bytes = AlignedBytes::copy_from(bytes);
        let model = Model::parse(&bytes).map_err(|e| format!("{name}: {e}"))?;
        let mut units = vec![0.0; COSTS.len()];
        for (unit, count) in inference(&model, core, inputs) {
            units[unit as usize] += count;
        }
        networks.push(Counted {
            instructions: instructions(&network, &name, board)?,
            name,
            weight,
            units,
        });
        Ok(())
    };
    for (name, network) in synthetic::networks() {
        let bytes = write(&network).map_err(|e| format!("{name}: {e}"))?;
        // Every third value is 0; where kernels skip zeros also nearly all, and none.
        let inputs: [(&str, Active); 3] = [
            ("", |at| at % 3 > 0),
            (", few inputs", |at| at % 16 == 5),
            (", all inputs", |_| true),
        ];
        let skipping = |layer: &LayerSpec| layer.encoding == Encoding::Columns;
        let kinds = if network.layers.iter().any(skipping) {
            3
        } else {
            1
        };
        for (kind, active) in &inputs[..kinds] {
            let input = input(&network, *active);
            add(format!("{name}{kind}"), 1.0, &bytes, &[input])?;
        }
    }
    for (name, network) in convolutions::networks() {
        let bytes = write(&network).map_err(|e| format!("{name}: {e}"))?;
        // A value of two is 0; and, in patches, of eight values seven.
        let inputs: [(&str, Active); 2] = [
            ("", |at| at % 2 > 0),
            (", patches", |at| at / 40 % 8 == 5 || at % 97 == 3),
        ];
        // Elsewhere no kernel looks for zeros.
        let kinds = if core == Core::M4 { 2 } else { 1 };
        for (kind, active) in &inputs[..kinds] {
            let input = input(&network, *active);
            add(format!("{name}{kind}"), 1.0, &bytes, &[input])?;
        }
    }
    for (name, network) in convolutions::resnets() {
        let bytes = write(&network).map_err(|e| format!("{name}: {e}"))?;
        // On other boards it does not fit.
        if core == Core::M4 {
            add(name, REAL, &bytes, &resnet::inputs(2))?;
        }
    }
    let digits = digits(bench)?;
    // Of a Cortex-M3 nothing was exported for itself.
    let exported_for = match core {
        Core::M3 => Core::M4,
        core => core,
    };
    for Committed { name, bytes, cores } in committed(bench)? {
        if cores.contains(&exported_for) {
            add(name, REAL, &bytes, &digits)?;
        }
    }
    Ok(networks)
}

/// An input of `network` whose values are not 0 where `active` says so.
fn input(network: &NetworkSpec, active: impl Fn(usize) -> bool) -> Vec<u8> {
    let value = |at: usize| match active(at) {
        true => (at % 3 * (at % 120)).max(1) as u8,
        false => 0,
    };
    (0..network.input.len()).map(value).collect()
}

/// The costs with the least sum of squared relative errors, none below 0.
fn fit(counted: &[Counted], old: &[f64]) -> Outcome<Vec<f64>> {
    let exact = EXACT.map(|unit| unit as usize);
    let mut free: Vec<usize> = (0..old.len())
        .filter(|unit| !exact.contains(unit))
        .collect();
    loop {
        let costs = least_squares(counted, old, &free)?;
        // The one that is farthest below 0 first: others may rise when it is gone.
        let below = |&place: &usize| costs[free[place]] / old[free[place]].max(1.0);
        let negative = (0..free.len()).filter(|place| below(place) < 0.0);
        let Some(place) = negative.min_by(|a, b| below(a).total_cmp(&below(b))) else {
            return Ok(costs);
        };
        free.remove(place);
    }
}

/// The same where the costs of units that are not `free` are 0, or [exact](EXACT).
fn least_squares(counted: &[Counted], old: &[f64], free: &[usize]) -> Outcome<Vec<f64>> {
    let unknown = free.len();
    let mut rows = vec![vec![0.0; unknown + 1]; unknown];
    let mut costs = vec![0.0; old.len()];
    for unit in EXACT {
        costs[unit as usize] = old[unit as usize];
    }
    for network in counted {
        // The share of the instructions that the exact units leave to the others.
        let left = -network.error(&costs);
        let share = |place: usize| network.units[free[place]] / network.instructions;
        for (i, row) in rows.iter_mut().enumerate() {
            for (j, cell) in row.iter_mut().take(unknown).enumerate() {
                *cell += network.weight * share(i) * share(j);
            }
            row[unknown] += network.weight * share(i) * left;
        }
    }
    for (i, row) in rows.iter_mut().enumerate() {
        let scale = PULL / old[free[i]].max(1.0).powi(2);
        row[i] += scale;
        row[unknown] += scale * old[free[i]];
    }
    // Gauss's elimination; the matrix is positive definite.
    for pivot in 0..unknown {
        let (above, below) = rows.split_at_mut(pivot + 1);
        let above = &above[pivot];
        if above[pivot] <= 0.0 {
            return Err("the networks do not tell the costs apart".into());
        }
        for row in below {
            let factor = row[pivot] / above[pivot];
            row.iter_mut()
                .zip(above)
                .for_each(|(cell, above)| *cell -= factor * above);
        }
    }
    for pivot in (0..unknown).rev() {
        let known: f64 = (pivot + 1..unknown)
            .map(|j| rows[pivot][j] * costs[free[j]])
            .sum();
        costs[free[pivot]] = (rows[pivot][unknown] - known) / rows[pivot][pivot];
    }
    Ok(costs)
}
