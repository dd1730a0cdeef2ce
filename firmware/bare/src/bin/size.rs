//! Parser and engine alone: the size of this program's `.text` section is theirs.
#![no_std]
#![no_main]

use core::hint::black_box;

use rarefy_bare as _;
use rarefy_format::Model;
use rarefy_runtime::{Engine, argmax};

/// Returns the class of `input`, or `None` if container, input or arena are rejected. Kept out of
/// line, because the loop around it is not part of a real program.
#[inline(never)]
fn classify(container: &[u8], input: &[u8], arena: &mut [u32]) -> Option<usize> {
    let engine = Engine::new(Model::parse(container).ok()?).ok()?;
    engine.infer(input, arena).ok().map(argmax)
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
