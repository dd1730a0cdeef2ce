//! Measures the code size of the engine alone, on a model verified by the compiler.
#![no_std]
#![no_main]

use core::hint::black_box;

use rarefy_bare as _;
use rarefy_format::{Aligned, Model};
use rarefy_runtime::{Engine, argmax};

/// A container of two inputs and one output, in packed words: 6 * x[0] + 100.
static BYTES: &Aligned<[u8; 44]> = &Aligned([
    0x52, 0x46, 0x59, 0x01, 0x08, 0x79, 0xc7, 0x15, 0x01, 0x01, 0x00, 0x00, 0x01, 0x00, 0x01, 0x02,
    0x02, 0x00, 0x01, 0x00, 0x01, 0x00, 0x14, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
    0x64, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x22, 0x00, 0x00, 0x00,
]);

/// The container, verified.
static MODEL: Model<'static> = match Model::parse(&BYTES.0) {
    Ok(model) => model,
    Err(_) => panic!("the model is no container"),
};

/// Returns the class of `input`, or `None` if anything is rejected. Not inlined: programs do not
/// share its surroundings.
#[inline(never)]
fn classify(model: Model<'_>, input: &[u8], arena: &mut [u32]) -> Option<usize> {
    let engine = Engine::new(model).ok()?;
    engine.infer(input, arena).ok().map(argmax)
}

/// The entry point.
// SAFETY: the only symbol of this name in the program.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let (input, arena): (&[u8], &mut [u32]) = (&[], &mut []);
    loop {
        // The compiler must not specialise the code for this model.
        let class = classify(*black_box(&MODEL), black_box(input), black_box(arena));
        black_box(class);
    }
}
