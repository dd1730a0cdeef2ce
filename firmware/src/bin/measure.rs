//! Runs the model on every sample and logs its logits, its cost and the depth of the stack.
//!
//! One line a sample; the workstation reads them (`rarefy measure`), compares every logit
//! with its own, and turns ticks into instructions or cycles. Fails, with one line, on a
//! model that the engine refuses and on a stack that has run into the static data.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use rarefy_firmware::counter::Counter;
use rarefy_firmware::exit::exit;
use rarefy_firmware::stack::{self, Peak, Window};
use rarefy_format::{Model, arena_words};
use rarefy_runtime::{Arena, Engine, argmax};

include!(concat!(env!("OUT_DIR"), "/model.rs"));

/// From the input to the class: what a device does with it. A function of its own, so that its stack is
/// not the program's. `None` when the engine refuses the input.
#[inline(never)]
fn infer<'a>(engine: &Engine<'_>, input: &[u8], arena: &'a mut [u32]) -> Option<&'a [i32]> {
    let logits = engine.infer(input, arena).ok()?;
    black_box(argmax(logits));
    Some(logits)
}

#[entry]
fn main() -> ! {
    // The workstation finds these two in the symbol table, by name, and reports their sizes.
    static mut RAREFY_ARENA: Arena<{ arena_words(MODEL_BYTES) }> = Arena::new();
    // A device has its input in RAM, whatever sensor it came from.
    static mut RAREFY_INPUT: [u8; INPUTS] = [0; INPUTS];

    let Some(mut counter) = Counter::start() else {
        defmt::error!("rarefy failed: the counter is taken");
        exit(false)
    };

    // Seen through a veil: the compiler must not fold this model or these samples into code,
    // or the program's size would depend on them.
    let model = black_box(&MODEL.0[..]);
    let samples = *black_box::<&&[u8]>(&SAMPLES);

    let mut window = Window::new();
    let (load, engine, load_stack) = loop {
        window.paint();
        let (load, engine) = counter.ticks(|| match Model::parse(model) {
            Ok(model) => Engine::new(model).ok(),
            Err(_) => None,
        });
        match window.peak() {
            Peak::BelowWindow => window.widen(),
            peak => break (load, engine, peak),
        }
    };
    let (Some(engine), Peak::Bytes(load_stack)) = (engine, load_stack) else {
        defmt::error!("rarefy failed: the engine refuses the model");
        exit(false)
    };
    defmt::info!(
        "rarefy start samples={=usize} outputs={=usize} overhead={=u64} load={=u64} stack={=usize} base={=usize} of {=usize}",
        samples.len() / INPUTS,
        engine.model().outputs(),
        counter.overhead(),
        load,
        load_stack,
        stack::depth(),
        stack::capacity(),
    );

    let (mut index, mut rest) = (0_usize, samples);
    while let Some((sample, behind)) = rest.split_at_checked(INPUTS) {
        RAREFY_INPUT.copy_from_slice(sample);
        window.paint();
        let (ticks, logits) =
            counter.ticks(|| infer(&engine, RAREFY_INPUT, RAREFY_ARENA.as_mut_words()));
        let peak = match window.peak() {
            Peak::Bytes(peak) => peak,
            Peak::BelowWindow => {
                window.widen();
                continue;
            }
            Peak::Overflow => {
                defmt::error!("rarefy failed: the stack ran into the static data");
                exit(false)
            }
        };
        match logits {
            Some(logits) => defmt::info!(
                "rarefy sample={=usize} ticks={=u64} stack={=usize} logits={=[?]}",
                index,
                ticks,
                peak,
                logits
            ),
            None => {
                defmt::error!("rarefy failed: the engine refuses sample {=usize}", index);
                exit(false)
            }
        }
        (index, rest) = (index + 1, behind);
    }
    defmt::info!("rarefy done");
    exit(true)
}
