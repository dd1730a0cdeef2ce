//! Runs a network emitted as code on every sample, as `measure` runs a container.
//!
//! It logs the same lines and measures in the same way, but there is no model to load and no
//! arena.
#![no_std]
#![no_main]
// Of what the build script generates, only the samples are used: the model is code here.
#![allow(dead_code)]

use core::hint::black_box;

use rarefy_code as network;
use rarefy_firmware::counter::Counter;
use rarefy_firmware::entry;
use rarefy_firmware::exit::exit;
use rarefy_firmware::measurement::{Measured, log_sample, measure};
use rarefy_firmware::stack::{self, Window};

include!(concat!(env!("OUT_DIR"), "/model.rs"));

// An application has its input in RAM.
static mut RAREFY_INPUT: [u8; INPUTS] = [0; INPUTS];

#[entry]
fn main() -> ! {
    let memory = &raw mut RAREFY_INPUT;
    // SAFETY: nothing else uses this static, and `main` runs once.
    let memory = unsafe { &mut *memory };

    let Some(mut counter) = Counter::start() else {
        defmt::error!("rarefy failed: the core's peripherals are already taken");
        exit(false)
    };
    let samples = *black_box::<&&[u8]>(&SAMPLES);
    defmt::info!(
        "rarefy start samples={=usize} outputs={=usize} overhead={=u64} load=0 stack=0 base={=usize} of {=usize}",
        samples.len() / INPUTS,
        network::OUTPUTS,
        counter.overhead(),
        stack::depth(),
        stack::capacity(),
    );

    let mut window = Window::new();
    let (mut index, mut rest) = (0_usize, samples);
    while let Some((sample, after)) = rest.split_at_checked(INPUTS) {
        memory.copy_from_slice(sample);
        let run = || black_box(network::classify(black_box(&*memory)));
        let Some(measured) = measure(&mut counter, &mut window, run) else {
            continue;
        };
        let Measured {
            ticks,
            stack,
            result: class,
        } = measured;
        let logits = network::infer(memory);
        if logits
            .get(class)
            .is_none_or(|logit| logits.iter().max() != Some(logit))
        {
            defmt::error!(
                "rarefy failed: the class of sample {=usize} does not have the largest logit",
                index
            );
            exit(false)
        }
        log_sample(index, ticks, stack, &logits);
        (index, rest) = (index + 1, after);
    }
    defmt::info!("rarefy done");
    exit(true)
}
