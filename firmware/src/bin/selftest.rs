//! Tests the engine on the device with golden containers of every encoding and kind of layer.
//!
//! Inputs and expected logits are embedded, so the kernels of the workstation are not involved.
//! Logs a line per container and fails if any logit differs.
#![no_std]
#![no_main]

use core::hint::black_box;

use heapless::Vec;
use rarefy_firmware::entry;
use rarefy_firmware::exit::exit;
use rarefy_format::Model;
use rarefy_runtime::{Arena, Engine};

/// A container with inputs and their logits.
struct Case {
    name: &'static str,
    model: &'static [u8],
    /// Inputs and their logits.
    answers: &'static [(&'static [u8], &'static [i32])],
}

include!(concat!(env!("OUT_DIR"), "/selftest.rs"));

/// Maximum number of failures that are logged at the end; any more are only counted.
const KEPT: usize = 8;

/// How a case failed.
#[derive(Clone, Copy, defmt::Format)]
enum Failure {
    /// The parser or the engine rejects the model or an input.
    Rejected,
    /// The first logit that differs.
    Logit {
        input: usize,
        logit: usize,
        known: i32,
        found: i32,
    },
}

static mut RAREFY_ARENA: Arena<ARENA_WORDS> = Arena::new();

#[entry]
fn main() -> ! {
    let arena = &raw mut RAREFY_ARENA;
    // SAFETY: nothing else uses this static, and `main` runs once.
    let arena = unsafe { &mut *arena };

    let mut failures: Vec<(&Case, Failure), KEPT> = Vec::new();
    let mut wrong = 0_usize;
    for case in black_box(CASES) {
        let outcome = check(case, arena.as_mut_words());
        let verdict = if outcome.is_ok() { "pass" } else { "fail" };
        defmt::info!("rarefy selftest {=str}: {=str}", case.name, verdict);
        if let Err(failure) = outcome {
            wrong += 1;
            // A failure that does not fit the list is still counted.
            let _ = failures.push((case, failure));
        }
    }
    if wrong > 0 {
        for (case, failure) in &failures {
            defmt::error!("{=str}: {}", case.name, failure);
        }
        defmt::error!(
            "rarefy failed: {=usize} of {=usize} cases",
            wrong,
            CASES.len()
        );
        exit(false)
    }
    defmt::info!("rarefy done");
    exit(true)
}

/// Runs the inputs of `case` and compares every logit with the known one.
fn check(case: &Case, arena: &mut [u32]) -> Result<(), Failure> {
    let model = Model::parse(case.model).map_err(|_| Failure::Rejected)?;
    let engine = Engine::new(model).map_err(|_| Failure::Rejected)?;
    for (input, (pixels, known)) in case.answers.iter().enumerate() {
        let found = engine.infer(pixels, arena).map_err(|_| Failure::Rejected)?;
        let mut pairs = known.iter().zip(found).enumerate();
        if let Some((logit, (&known, &found))) = pairs.find(|(_, (known, found))| known != found) {
            return Err(Failure::Logit {
                input,
                logit,
                known,
                found,
            });
        }
    }
    Ok(())
}
