//! Checks the engine on the device: golden containers in every encoding, answers known before.
//!
//! Needs no workstation's kernels: inputs and logits are built in. One line a case and
//! encoding; ends with failure when any logit of any case differs.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use rarefy_firmware::exit::exit;
use rarefy_format::Model;
use rarefy_runtime::{Arena, Engine};

/// A container and what it must answer.
struct Case {
    name: &'static str,
    encoding: &'static str,
    model: &'static [u8],
    /// Inputs and their logits.
    answers: &'static [(&'static [u8], &'static [i32])],
}

include!(concat!(env!("OUT_DIR"), "/selftest.rs"));

#[entry]
fn main() -> ! {
    static mut RAREFY_ARENA: Arena<ARENA_WORDS> = Arena::new();

    let mut wrong = 0_usize;
    for case in black_box(CASES) {
        let passes = passes(case, RAREFY_ARENA.as_mut_words());
        wrong += usize::from(!passes);
        let verdict = if passes { "pass" } else { "fail" };
        defmt::info!(
            "rarefy selftest {=str} {=str}: {=str}",
            case.name,
            case.encoding,
            verdict
        );
    }
    if wrong > 0 {
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

/// Whether every logit is the known one.
fn passes(case: &Case, arena: &mut [u32]) -> bool {
    let Ok(model) = Model::parse(case.model) else {
        return false;
    };
    let Ok(engine) = Engine::new(model) else {
        return false;
    };
    case.answers
        .iter()
        .all(|(input, logits)| engine.infer(input, arena).is_ok_and(|l| l == *logits))
}
