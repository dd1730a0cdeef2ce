//! Fits the cost of each unit of work on each core: the table of `costs/table.rs`.
//!
//! Every network, committed or synthetic, contributes one equation: its number of instructions is
//! the sum over all units of count times cost. The fit minimises the squared relative error over
//! all networks.

use rarefy_format::{AlignedBytes, Encoding, LayerSpec, Model, NetworkSpec, write};
use rarefy_trainer::deploy::costs::{COSTS, Core, Unit, inference};

use super::networks::{Committed, committed, count, digits, instructions};
use super::{Bench, Outcome};
use super::{convolutions, resnet, synthetic};

/// Weight of committed networks relative to synthetic ones.
const REAL: f64 = 5.0;

/// Regularisation towards the cost in the table, for costs that no network determines.
const PULL: f64 = 1e-6;

/// Units whose instructions can be counted in the assembly; their costs in the table are kept.
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

/// Predicate that selects the positions of nonzero inputs.
type Active = fn(usize) -> bool;

/// A measured network: its count of each unit, and its instructions.
struct Counted {
    name: String,
    weight: f64,
    units: Vec<f64>,
    instructions: f64,
}

/// Measures all networks, fits the costs, and prints the table for `costs/table.rs`. With `only`,
/// measures on the board of this name alone; the other columns are those of the table.
pub(super) fn costs(bench: &Bench, only: Option<&str>) -> Outcome<()> {
    let mut columns = Vec::new();
    for core in [Core::M4, Core::M3, Core::M0, Core::Rv32] {
        let name = &bench.board(core)?.name;
        if only.is_some_and(|only| only != name) {
            let table = COSTS.iter().map(|(_, costs)| costs[core as usize]);
            columns.push(table.collect());
            continue;
        }
        let counted = counted(bench, core)?;
        let old: Vec<f64> = COSTS
            .iter()
            .map(|(_, costs)| costs[core as usize])
            .collect();
        let costs = fit(&counted, &old)?;
        println!("{core:?}: networks with a prediction error above 5 %");
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
    println!("\npub const COSTS: [(Unit, [f64; 4]); {}] = [", COSTS.len());
    for (line, (unit, _)) in COSTS.iter().enumerate() {
        let costs: Vec<String> = columns.iter().map(|costs| digits3(costs[line])).collect();
        println!("    (Unit::{unit:?}, [{}]),", costs.join(", "));
    }
    println!("];");
    Ok(())
}

/// Formats a cost with about three significant digits.
fn digits3(cost: f64) -> String {
    let cost = cost.max(0.0);
    match cost {
        100.0.. => format!("{cost:.0}.0"),
        10.0.. => format!("{cost:.1}"),
        _ => format!("{cost:.2}"),
    }
}

impl Counted {
    /// Returns the relative error of the instructions that `costs` predict.
    fn error(&self, costs: &[f64]) -> f64 {
        let predicted: f64 = self.units.iter().zip(costs).map(|(n, cost)| n * cost).sum();
        predicted / self.instructions - 1.0
    }
}

/// A network to measure.
struct Case {
    name: String,
    weight: f64,
    container: Vec<u8>,
    inputs: Vec<Vec<u8>>,
}

/// Measures every network on the board of `core`.
fn counted(bench: &Bench, core: Core) -> Outcome<Vec<Counted>> {
    let board = bench.board(core)?;
    let mut cases = synthetic_cases(core)?;
    cases.extend(committed_cases(bench, core)?);
    let measure = |case: Case| -> Outcome<Counted> {
        let name = case.name;
        let network = count(bench, board, (&name, &case.container), &case.inputs)?;
        let bytes = AlignedBytes::copy_from(&case.container);
        let model = Model::parse(&bytes).map_err(|e| format!("{name}: {e}"))?;
        let mut units = vec![0.0; COSTS.len()];
        for (unit, count) in inference(&model, core, &case.inputs) {
            units[unit as usize] += count;
        }
        Ok(Counted {
            instructions: instructions(&network, &name, board)?,
            name,
            weight: case.weight,
            units,
        })
    };
    cases.into_iter().map(measure).collect()
}

/// Returns the synthetic networks, each with one or more kinds of inputs.
fn synthetic_cases(core: Core) -> Outcome<Vec<Case>> {
    // A third of the inputs are 0. Kernels for which zeros cost less are also measured with inputs
    // that are nearly all 0, and with inputs that are all nonzero.
    let dense: [(&str, Active); 3] = [
        ("", |at| at % 3 > 0),
        (", few inputs", |at| at % 16 == 5),
        (", all inputs", |_| true),
    ];
    // Half of the inputs are 0, or seven of every eight patches of inputs.
    let maps: [(&str, Active); 2] = [
        ("", |at| at % 2 > 0),
        (", patches", |at| at / 40 % 8 == 5 || at % 97 == 3),
    ];
    let skipping = |layer: &LayerSpec| match layer.encoding {
        Encoding::Columns | Encoding::CsrF32 => true,
        Encoding::Dense => core == Core::Rv32,
        _ => false,
    };
    let mut cases = Vec::new();
    for (name, network) in synthetic::networks() {
        let skips = network.layers.iter().any(skipping);
        let kinds = if skips { &dense[..] } else { &dense[..1] };
        add_cases(&mut cases, &name, &network, kinds)?;
    }
    for (name, network) in convolutions::networks() {
        // Of the kernels for convolutions, only those of the Cortex-M4 skip zeros.
        let kinds = if core == Core::M4 {
            &maps[..]
        } else {
            &maps[..1]
        };
        add_cases(&mut cases, &name, &network, kinds)?;
    }
    Ok(cases)
}

/// Adds a case of `network` for each of the `kinds` of input.
fn add_cases(
    cases: &mut Vec<Case>,
    name: &str,
    network: &NetworkSpec,
    kinds: &[(&str, Active)],
) -> Outcome<()> {
    let container = write(network).map_err(|e| format!("{name}: {e}"))?;
    cases.extend(kinds.iter().map(|(kind, active)| Case {
        name: format!("{name}{kind}"),
        weight: 1.0,
        container: container.clone(),
        inputs: vec![input(network, active)],
    }));
    Ok(())
}

/// Returns the real networks: ResNet-8, and the committed networks that were exported for `core`.
fn committed_cases(bench: &Bench, core: Core) -> Outcome<Vec<Case>> {
    let mut cases = Vec::new();
    // ResNet-8 does not fit on the other boards.
    let resnets = (core == Core::M4).then(convolutions::resnets);
    for (name, network) in resnets.into_iter().flatten() {
        let container = write(&network).map_err(|e| format!("{name}: {e}"))?;
        cases.push(Case {
            name,
            weight: REAL,
            container,
            inputs: resnet::inputs(2),
        });
    }
    let digits = digits(bench)?;
    // No network was exported for the Cortex-M3.
    let exported_for = match core {
        Core::M3 => Core::M4,
        core => core,
    };
    for Committed { name, bytes, cores } in committed(bench)? {
        if cores.contains(&exported_for) {
            cases.push(Case {
                name,
                weight: REAL,
                container: bytes.to_vec(),
                inputs: digits.clone(),
            });
        }
    }
    Ok(cases)
}

/// Returns an input of `network` that is nonzero at the positions that `active` selects.
fn input(network: &NetworkSpec, active: impl Fn(usize) -> bool) -> Vec<u8> {
    let value = |at: usize| match active(at) {
        true => (at % 3 * (at % 120)).max(1) as u8,
        false => 0,
    };
    (0..network.input.len()).map(value).collect()
}

/// Returns the nonnegative costs with the smallest sum of squared relative errors.
fn fit(counted: &[Counted], old: &[f64]) -> Outcome<Vec<f64>> {
    let exact = EXACT.map(|unit| unit as usize);
    let mut free: Vec<usize> = (0..old.len())
        .filter(|unit| !exact.contains(unit))
        .collect();
    loop {
        let costs = least_squares(counted, old, &free)?;
        // Fix the most negative cost at 0 first: others may become positive without it.
        let below = |&place: &usize| costs[free[place]] / old[free[place]].max(1.0);
        let negative = (0..free.len()).filter(|place| below(place) < 0.0);
        let Some(place) = negative.min_by(|a, b| below(a).total_cmp(&below(b))) else {
            return Ok(costs);
        };
        free.remove(place);
    }
}

/// Solves the weighted least-squares problem for the `free` units. Other costs are 0, or
/// [exact](EXACT).
fn least_squares(counted: &[Counted], old: &[f64], free: &[usize]) -> Outcome<Vec<f64>> {
    let unknown = free.len();
    let mut rows = vec![vec![0.0; unknown + 1]; unknown];
    let mut costs = vec![0.0; old.len()];
    for unit in EXACT {
        costs[unit as usize] = old[unit as usize];
    }
    for network in counted {
        // The share of the instructions that the exact units do not explain.
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
    // Gaussian elimination; the matrix is positive definite.
    for pivot in 0..unknown {
        let (above, below) = rows.split_at_mut(pivot + 1);
        let above = &above[pivot];
        if above[pivot] <= 0.0 {
            return Err("the networks do not determine all costs; add networks that do".into());
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
