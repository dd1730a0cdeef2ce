//! Proof that inference, from the bytes of a container to the class, cannot panic.
//!
//! The compiler knows neither contents nor lengths of container, input and arena. If a path to the
//! panic handler existed, this program would not link. It calls everything that a device calls:
//! `Model::parse`, the accessors of the model and its layers, `Engine::new`, `infer`, `argmax`, and
//! the conversions of numbers with units.
#![no_std]
#![no_main]

use core::hint::black_box;

use rarefy_bare as _;
use rarefy_format::Model;
use rarefy_runtime::{Engine, argmax};

/// Returns the class of `input`, or `None` if container, input or arena are rejected.
fn classify(container: &[u8], input: &[u8], arena: &mut [u32]) -> Option<usize> {
    #[cfg(feature = "can-panic")]
    black_box(container[16]);
    let model = Model::parse(container).ok()?;
    black_box((model.inputs(), model.outputs(), model.arena_words()));
    for layer in model.layers() {
        black_box((layer.operation(), layer.source(), layer.output()));
    }
    let engine = Engine::new(model).ok()?;
    #[cfg(feature = "units")]
    convert(&engine);
    engine.infer(input, arena).ok().map(argmax)
}

/// Converts numbers to an input, and logits to outputs.
#[cfg(feature = "units")]
fn convert(engine: &Engine<'_>) {
    let (values, input, logits): (&[f32], &mut [u8], &[i32]) = (&[], &mut [], &[]);
    let input = black_box(input);
    black_box(engine.quantize(black_box(values), input).is_ok());
    let readings: &[i16] = &[];
    black_box(engine.quantize(black_box(readings), input).is_ok());
    for output in engine.dequantize(black_box(logits)).into_iter().flatten() {
        black_box(output);
    }
    if let Some(map) = engine
        .model()
        .units()
        .and_then(|units| units.map(black_box(7)))
    {
        black_box(map.byte(black_box(1.5)));
    }
}

/// The entry point.
// SAFETY: the only symbol of this name in the program.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let (container, input, arena): (&[u8], &[u8], &mut [u32]) = (&[], &[], &mut []);
    loop {
        let class = classify(black_box(container), black_box(input), black_box(arena));
        black_box(class);
    }
}
