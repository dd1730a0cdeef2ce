//! The engine alone, with a model that the compiler has verified: the size of this program's
//! `.text` section is that of the engine.
#![no_std]
#![no_main]

use core::hint::black_box;

use rarefy_bare as _;
use rarefy_format::{Aligned, Model};
use rarefy_runtime::{Engine, argmax};

/// A container with two inputs and one output, 6 * x[0] + 100, in the encoding `words`.
static BYTES: &Aligned<[u8; 44]> = &Aligned([
    0x52, 0x46, 0x59, 0x01, 0x08, 0x79, 0xc7, 0x15, 0x01, 0x01, 0x00, 0x00, 0x01, 0x00, 0x01, 0x02,
    0x02, 0x00, 0x01, 0x00, 0x01, 0x00, 0x14, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
    0x64, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x22, 0x00, 0x00, 0x00,
]);

/// The model, verified at compile time.
static MODEL: Model<'static> = match Model::parse(&BYTES.0) {
    Ok(model) => model,
    Err(_) => panic!("BYTES is not a valid container"),
};

/// Returns the class of `input`, or `None` if model, input or arena are rejected. Kept out of
/// line, because the loop around it is not part of a real program.
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
        // The compiler must not specialize the code for this model.
        let class = classify(*black_box(&MODEL), black_box(input), black_box(arena));
        black_box(class);
    }
}
