//! Runs a network that was written as code on every sample, as `measure` runs a container.
//!
//! The same lines, the same way of counting; there is no model to check and no arena.
#![no_std]
#![no_main]
// Of what the build lays out, only the samples are needed: the model is code here.
#![allow(dead_code)]

use core::hint::black_box;

use cortex_m_rt::entry;
use rarefy_code as network;
use rarefy_firmware::counter::Counter;
use rarefy_firmware::exit::exit;
use rarefy_firmware::stack::{self, Peak, Window};

include!(concat!(env!("OUT_DIR"), "/model.rs"));

#[entry]
fn main() -> ! {
    // A device has its input in RAM, whatever sensor it came from.
    static mut RAREFY_INPUT: [u8; INPUTS] = [0; INPUTS];

    let Some(mut counter) = Counter::start() else {
        defmt::error!("rarefy failed: the counter is taken");
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
    while let Some((sample, behind)) = rest.split_at_checked(INPUTS) {
        RAREFY_INPUT.copy_from_slice(sample);
        window.paint();
        let (ticks, class) =
            counter.ticks(|| black_box(network::classify(black_box(RAREFY_INPUT))));
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
        let logits = network::infer(RAREFY_INPUT);
        if logits
            .get(class)
            .is_none_or(|logit| logits.iter().max() != Some(logit))
        {
            defmt::error!(
                "rarefy failed: the class of sample {=usize} is another",
                index
            );
            exit(false)
        }
        defmt::info!(
            "rarefy sample={=usize} ticks={=u64} stack={=usize} logits={=[?]}",
            index,
            ticks,
            peak,
            logits
        );
        (index, rest) = (index + 1, behind);
    }
    defmt::info!("rarefy done");
    exit(true)
}
