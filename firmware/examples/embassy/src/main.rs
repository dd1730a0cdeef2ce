//! Classifies an input every 100 milliseconds: a timer wakes the task `sample`, which sends the
//! input to the task `classify`.
#![no_std]
#![no_main]

use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Ticker};
use panic_probe as _;
use rarefy_format::{Aligned, Model};
use rarefy_runtime::{Arena, Engine, argmax};
use static_cell::ConstStaticCell;

static BYTES: &Aligned<[u8]> = &Aligned(*include_bytes!("../../classify/model.rfy"));
const MODEL: Model<'_> = match Model::parse(&BYTES.0) {
    Ok(model) => model,
    Err(_) => panic!("model.rfy is damaged, or needs a feature that Cargo.toml does not enable"),
};
static ARENA: ConstStaticCell<Arena<{ MODEL.arena_words() }>> = ConstStaticCell::new(Arena::new());

/// A byte per value.
type Input = [u8; MODEL.inputs()];

/// Inputs on their way from `sample` to `classify`.
static INPUTS: Channel<CriticalSectionRawMutex, Input, 1> = Channel::new();

/// Sends an input at every tick. A product reads a sensor here.
#[embassy_executor::task]
async fn sample() {
    let mut ticker = Ticker::every(Duration::from_millis(100));
    loop {
        ticker.next().await;
        INPUTS
            .send(*include_bytes!("../../classify/input.bin"))
            .await;
    }
}

/// Logs the class of every input. An inference does not yield to other tasks while it runs.
#[embassy_executor::task]
async fn classify() {
    let engine = defmt::unwrap!(Engine::new(MODEL));
    let arena = ARENA.take();
    loop {
        let input = INPUTS.receive().await;
        let logits = defmt::unwrap!(engine.infer(&input, arena.as_mut_words()));
        defmt::info!("class {}, logits {}", argmax(logits), logits);
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let _peripherals = embassy_nrf::init(Default::default());
    spawner.spawn(defmt::unwrap!(sample()));
    spawner.spawn(defmt::unwrap!(classify()));
}
