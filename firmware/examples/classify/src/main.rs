//! Classifies `input.bin` with the neural network in `model.rfy`, and logs the class.
#![no_std]
#![no_main]

mod board;
use rarefy_format::{Aligned, Model};
use rarefy_runtime::{Arena, Engine, argmax};
use static_cell::ConstStaticCell;

static BYTES: &Aligned<[u8]> = &Aligned(*include_bytes!("../model.rfy"));
const MODEL: Model<'_> = match Model::parse(&BYTES.0) {
    Ok(model) => model,
    Err(_) => panic!("model.rfy is damaged, or needs a feature that Cargo.toml does not enable"),
};
static ARENA: ConstStaticCell<Arena<{ MODEL.arena_words() }>> = ConstStaticCell::new(Arena::new());
static INPUT: &[u8; MODEL.inputs()] = include_bytes!("../input.bin");

#[board::entry]
fn main() -> ! {
    let engine = defmt::unwrap!(Engine::new(MODEL));
    let logits = defmt::unwrap!(engine.infer(INPUT, ARENA.take().as_mut_words()));
    defmt::info!("class {}, logits {}", argmax(logits), logits);
    board::exit(true)
}
