//! Checks the engine on the device with golden containers of every encoding and kind of layer.
//!
//! Inputs and expected logits are built in, so the test does not rely on the workstation's
//! kernels. It logs one line per container, and ends with failure if any logit differs.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use heapless::Vec;
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

/// The number of failures that are reported at the end; further ones are only counted.
const KEPT: usize = 8;

/// Why a case failed.
#[derive(Clone, Copy, defmt::Format)]
enum Failure {
    /// The engine rejects the model or an input.
    Refused,
    /// The first logit that differs from the expected one.
    Logit {
        input: usize,
        logit: usize,
        known: i32,
        found: i32,
    },
}

#[entry]
fn main() -> ! {
    static mut RAREFY_ARENA: Arena<ARENA_WORDS> = Arena::new();

    let mut failures: Vec<(&Case, Failure), KEPT> = Vec::new();
    let mut wrong = 0_usize;
    for case in black_box(CASES) {
        let outcome = check(case, RAREFY_ARENA.as_mut_words());
        let verdict = if outcome.is_ok() { "pass" } else { "fail" };
        defmt::info!("rarefy selftest {=str}: {=str}", case.name, verdict);
        if let Err(failure) = outcome {
            wrong += 1;
            // If the list is full, the failure still counts below.
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

/// Checks all logits of a case.
fn check(case: &Case, arena: &mut [u32]) -> Result<(), Failure> {
    let model = Model::parse(case.model).map_err(|_| Failure::Refused)?;
    let engine = Engine::new(model).map_err(|_| Failure::Refused)?;
    for (input, (pixels, known)) in case.answers.iter().enumerate() {
        let found = engine.infer(pixels, arena).map_err(|_| Failure::Refused)?;
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
