//! Engine and parser, and nothing else: the text of this program is what they cost.
#![no_std]
#![no_main]

use core::hint::black_box;

use rarefy_bare as _;
use rarefy_format::Model;
use rarefy_runtime::{Engine, argmax};

/// The class of `input`, or what was refused. Not inlined: the loop around it is no program's.
#[inline(never)]
fn classify(container: &[u8], input: &[u8], arena: &mut [u32]) -> Option<usize> {
    let engine = Engine::new(Model::parse(container).ok()?).ok()?;
    engine.infer(input, arena).ok().map(argmax)
}

/// Where the program would start.
// SAFETY: the only symbol of this name in the program.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let (container, input, arena): (&[u8], &[u8], &mut [u32]) = (&[], &[], &mut []);
    loop {
        let class = classify(black_box(container), black_box(input), black_box(arena));
        black_box(class);
    }
}
