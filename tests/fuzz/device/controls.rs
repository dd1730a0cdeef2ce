//! Controls: checks that the fuzzer detects the faults that it looks for.
//!
//! Without controls, a disarmed guard or a broken comparison would look like faultless kernels.

use rarefy_format::{Encoding, NetworkSpec, Shape, write};

use super::cases::{Case, Mode, Origin};
use super::program::{Core, Failure, Program};
use crate::networks::{self, Random};

/// Number of edges between a guard and a yard (an area that holds a piece of the case).
const EDGES: u32 = 6;

/// Checks that reading any guard of `program` faults at every edge next to a yard, and that a
/// falsified logit is reported with its case.
///
/// # Errors
///
/// Returns an error that names the control that failed.
pub(crate) fn check(program: &Program) -> Result<(), String> {
    let core = program.core.name();
    let complain = |what: &str, outcome: &Result<(), Failure>| {
        Err(format!("a control failed on {core}: {what} ({outcome:?})"))
    };
    for edge in 1..=EDGES {
        let mode = Mode {
            step_on: edge,
            ..Mode::default()
        };
        let outcome = program.run([].iter(), mode);
        if !faulted(&outcome) {
            return complain(&format!("edge {edge} of the guards can be read"), &outcome);
        }
    }
    let right = Case::new(Origin::Network(0), &layer(Encoding::Csr)).ok_or("no case to falsify")?;
    for input in 0..right.logits.len() {
        let mut wrong = right.clone();
        wrong.logits[input][0] ^= 1;
        let outcome = program.run([&right, &wrong].into_iter(), Mode::default());
        let reported = |failure: &Failure| {
            failure.case == Some(1) && failure.why.starts_with("Logit { logit: 0,")
        };
        if !outcome.as_ref().is_err_and(reported) {
            return complain("a falsified logit is not reported", &outcome);
        }
    }
    Ok(())
}

/// Returns `true` if the program ended in a hard fault.
fn faulted(outcome: &Result<(), Failure>) -> bool {
    let fault = |failure: &Failure| failure.why.starts_with("hard fault");
    outcome.as_ref().is_err_and(fault)
}

/// Checks that exactly the known kernels read unaligned words of their input or weights, and
/// returns the names of these kernels. They fault when unaligned accesses are trapped, as on an
/// M0. This also proves that inputs lie at odd addresses.
///
/// `program` must be built with [`Accesses::Aligned`](super::program::Accesses): other compiled
/// code reads the container's unaligned records with unaligned accesses.
///
/// # Errors
///
/// Returns an error if other kernels read unaligned words, or if a kernel fails in another way.
pub(crate) fn unaligned(program: &Program) -> Result<String, String> {
    let known: &[&str] = match program.core {
        Core::M0 => &[],
        Core::M3 => &["columns", "rice"],
        Core::M4 => &["dense", "columns", "rice", "convolution"],
    };
    let (found, core) = (read_unaligned(program)?, program.core.name());
    if found != known {
        return Err(format!(
            "on {core} the kernels {found:?} read unaligned words, not {known:?} as expected"
        ));
    }
    Ok(match known {
        [] => format!("{core} none"),
        _ => format!("{core} {}", known.join(", ")),
    })
}

/// Returns the kernels that fault when unaligned accesses are trapped.
fn read_unaligned(program: &Program) -> Result<Vec<&'static str>, String> {
    let mut kernels: Vec<(&str, Vec<u8>)> = networks::DENSE
        .into_iter()
        .map(|encoding| (encoding.name(), layer(encoding)))
        .collect();
    kernels.push(("convolution", convolution()));
    let core = program.core.name();
    let mut found = Vec::new();
    for (name, container) in kernels {
        let case = Case::new(Origin::Network(0), &container);
        let case = case.ok_or(format!("{name}: the control is rejected"))?;
        let run = |trap_unaligned| {
            let mode = Mode {
                trap_unaligned,
                ..Mode::default()
            };
            program.run([&case].into_iter(), mode)
        };
        if program.core != Core::M0
            && let Err(failure) = run(false)
        {
            return Err(format!("{name} on {core}: {}", failure.why));
        }
        let outcome = run(true);
        match outcome {
            Ok(()) => {}
            Err(_) if faulted(&outcome) => found.push(name),
            Err(failure) => return Err(format!("{name} on {core}: {}", failure.why)),
        }
    }
    Ok(found)
}

/// Returns a container of a dense layer with 43 inputs and, on average, more than eight weights per
/// input.
fn layer(encoding: Encoding) -> Vec<u8> {
    let columns = 43;
    let network = (0..).find_map(|seed| {
        let layer = networks::dense(&mut Random::new(seed), encoding, columns, true);
        (layer.weights.len() > 8 * columns).then(|| NetworkSpec {
            input: Shape::flat(columns as u16),
            layers: vec![layer],
        })
    });
    write(&network.expect("seeds do not end")).expect("a small layer can be written")
}

/// Returns a container of a convolution without padding, which reads its input in place.
fn convolution() -> Vec<u8> {
    use rarefy_format::{LayerSpec, Margin, Operation, WeightsSpec, Window};
    let window = Window::square(3, 1, Margin::NONE);
    let taps = (0..9).map(|column| (column, 1 + column as i16)).collect();
    let conv = LayerSpec {
        operation: Operation::Conv {
            window,
            pooling: None,
        },
        encoding: Encoding::Csr,
        outputs: 1,
        original_outputs: 1,
        shift: 4,
        source: 1,
        skip: None,
        weights: WeightsSpec::Integers {
            bias: vec![3],
            rows: vec![taps],
        },
    };
    let all = (0..100).map(|column| (column, 1)).collect();
    let last = LayerSpec::dense(Encoding::Csr, 0, vec![0], vec![all]);
    let network = NetworkSpec {
        input: Shape {
            channels: 1,
            height: 12,
            width: 12,
        },
        layers: vec![conv, last],
    };
    write(&network).expect("a small network can be written")
}
