//! Runs the model on every sample and logs the logits, the cost and the stack depth.
//!
//! The workstation (`rarefy measure`) reads a line per sample, compares every logit with its own,
//! and converts ticks to instructions or cycles. The program fails with one line if the engine
//! rejects the model, or if the stack overwrites static data.
#![no_std]
#![no_main]

use core::hint::black_box;

use rarefy_firmware::counter::Counter;
use rarefy_firmware::entry;
use rarefy_firmware::exit::exit;
use rarefy_firmware::measurement::{Measured, log_sample, measure};
use rarefy_firmware::stack::{self, Window};
use rarefy_format::{Model, arena_words};
use rarefy_runtime::{Arena, Engine, argmax};

include!(concat!(env!("OUT_DIR"), "/model.rs"));

/// Computes the logits of `input` and then its class, as an application does. Returns the logits,
/// or `None` if the engine rejects the input. Kept out of line, so that its stack frame is not
/// merged with that of `main`.
#[inline(never)]
fn infer<'a>(engine: &Engine<'_>, input: &[u8], arena: &'a mut [u32]) -> Option<&'a [i32]> {
    let logits = engine.infer(input, arena).ok()?;
    black_box(argmax(logits));
    Some(logits)
}

// The workstation finds these two statics by name in the symbol table, and reports their sizes.
static mut RAREFY_ARENA: Arena<{ arena_words(MODEL_BYTES) }> = Arena::new();
// An application has its input in RAM.
static mut RAREFY_INPUT: [u8; INPUTS] = [0; INPUTS];

#[entry]
fn main() -> ! {
    let (arena, memory) = (&raw mut RAREFY_ARENA, &raw mut RAREFY_INPUT);
    // SAFETY: nothing else uses these statics, and `main` runs once.
    let (arena, memory) = unsafe { (&mut *arena, &mut *memory) };

    let Some(mut counter) = Counter::start() else {
        defmt::error!("rarefy failed: the core's peripherals are already taken");
        exit(false)
    };

    // The compiler must not fold this model or these samples into the code, or the program's size
    // would depend on them.
    let model = black_box(&MODEL.0[..]);
    let samples = *black_box::<&&[u8]>(&SAMPLES);

    let mut window = Window::new();
    let load = loop {
        let load = measure(&mut counter, &mut window, || match Model::parse(model) {
            Ok(model) => Engine::new(model).ok(),
            Err(_) => None,
        });
        if let Some(load) = load {
            break load;
        }
    };
    let Some(engine) = load.result else {
        defmt::error!("rarefy failed: the engine rejects the model");
        exit(false)
    };
    defmt::info!(
        "rarefy start samples={=usize} outputs={=usize} overhead={=u64} load={=u64} stack={=usize} base={=usize} of {=usize}",
        samples.len() / INPUTS,
        engine.model().outputs(),
        counter.overhead(),
        load.ticks,
        load.stack,
        stack::depth(),
        stack::capacity(),
    );

    let (mut index, mut rest) = (0_usize, samples);
    while let Some((sample, after)) = rest.split_at_checked(INPUTS) {
        memory.copy_from_slice(sample);
        let measured = measure(&mut counter, &mut window, || {
            infer(&engine, memory, arena.as_mut_words())
        });
        let Some(measured) = measured else { continue };
        let Measured { ticks, stack, .. } = measured;
        let Some(logits) = measured.result else {
            defmt::error!("rarefy failed: the engine rejects sample {=usize}", index);
            exit(false)
        };
        log_sample(index, ticks, stack, logits);
        (index, rest) = (index + 1, after);
    }
    defmt::info!("rarefy done");
    exit(true)
}
