//! The engine as a static library, whose interface is `include/rarefy.h`.
//!
//! The header documents every function for its callers; here are the proofs. The library has no
//! heap and no global variables. Every function checks its pointers for null, and containers and
//! arenas for alignment. Builds with debug assertions also check the alignment of structs, and that
//! memory neither exceeds the address space nor overlaps ([`memory`]). What no library can check is
//! that a pointer refers to as many bytes as the caller states; this is the contract of every
//! function, written as *valid* below: the memory is aligned for its type, may be read (and, if it
//! is not const, written) for the whole call, and nothing else writes it meanwhile.
//!
//! A release build contains no path to a panic: its panic handler does not link, as in `bare`.
#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_op_in_unsafe_fn, clippy::missing_safety_doc)]

mod error;
mod memory;
mod model;
#[cfg(target_os = "none")]
mod panic;

use core::ffi::{c_char, c_void};

use rarefy_format::Model;
use rarefy_runtime::{Engine, argmax};

use error::Error;
use memory::{ARENA_ALIGNMENT, Region};
use model::CModel;

/// Checks a container and prepares `model` for inferences.
///
/// # Safety
/// `model` is null or valid for a [`CModel`]. `bytes` is null or valid for `length` bytes, which
/// stay unchanged for as long as `model` is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rfy_model_parse(
    model: *mut CModel,
    bytes: *const c_void,
    length: usize,
) -> i32 {
    // SAFETY: the caller promises that `model` is null or valid.
    let model = match unsafe { memory::exclusive(model) } {
        Ok(model) => model,
        Err(error) => return error.code(),
    };
    model.clear();
    // SAFETY: the caller promises that `bytes` is null or valid for `length` bytes.
    let parsed = unsafe { parse(bytes.cast(), length) };
    match parsed {
        Ok(engine) => model.set(engine),
        Err(error) => return error.code(),
    }
    Error::NONE
}

/// Checks the container of `length` bytes at `bytes` and returns its engine.
///
/// # Safety
/// `bytes` is null or valid for `length` bytes, which stay unchanged for as long as the model is
/// used.
#[inline(always)]
unsafe fn parse(bytes: *const u8, length: usize) -> Result<Engine<'static>, Error> {
    let region = Region::new(bytes.addr(), length, ARENA_ALIGNMENT)?;
    if length == 0 {
        return Err(Error::Empty);
    }
    region.check()?;
    // SAFETY: `bytes` is not null, so the caller promises that it is valid for `length` bytes,
    // which stay unchanged. Bytes need no alignment.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, length) };
    #[cfg(feature = "can-panic")]
    core::hint::black_box(bytes[16]);
    Ok(Engine::new(Model::parse(bytes)?)?)
}

/// Returns the number of input bytes, or 0 if `model` is null or was not parsed.
///
/// # Safety
/// `model` is null or valid for a [`CModel`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rfy_inputs(model: *const CModel) -> usize {
    // SAFETY: the contract is the same.
    unsafe { engine(model) }.map_or(0, |engine| engine.model().inputs())
}

/// Returns the number of logits, or 0 if `model` is null or was not parsed.
///
/// # Safety
/// `model` is null or valid for a [`CModel`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rfy_outputs(model: *const CModel) -> usize {
    // SAFETY: the contract is the same.
    unsafe { engine(model) }.map_or(0, |engine| engine.model().outputs())
}

/// Returns the size in bytes of the arena, or 0 if `model` is null or was not parsed.
///
/// # Safety
/// `model` is null or valid for a [`CModel`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rfy_arena_bytes(model: *const CModel) -> usize {
    // SAFETY: the contract is the same.
    unsafe { engine(model) }.map_or(0, |engine| WORD * engine.model().arena_words())
}

/// The size in bytes of a word of the arena.
const WORD: usize = size_of::<u32>();

/// Returns the engine of the model at `model`.
///
/// # Safety
/// `model` is null or valid for a [`CModel`], which stays unchanged for `'a`.
#[inline(always)]
unsafe fn engine<'a>(model: *const CModel) -> Result<&'a Engine<'static>, Error> {
    // SAFETY: the caller promises that `model` is null or valid.
    unsafe { memory::shared(model) }?.engine()
}

/// Computes the logits for an input, and stores in `logits` where they are in the arena.
///
/// # Safety
/// `model` is null or valid for a [`CModel`], `input` for `input_bytes` bytes, `arena` for
/// `arena_bytes` bytes and `logits` for a pointer. The arena overlaps none of the others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rfy_infer(
    model: *const CModel,
    input: *const u8,
    input_bytes: usize,
    arena: *mut c_void,
    arena_bytes: usize,
    logits: *mut *const i32,
) -> i32 {
    // SAFETY: the caller promises that `logits` is null or valid for a pointer, and that the arena
    // does not overlap it.
    let logits = match unsafe { memory::exclusive(logits) } {
        Ok(logits) => logits,
        Err(error) => return error.code(),
    };
    *logits = core::ptr::null();
    // SAFETY: the contracts are the same.
    match unsafe { infer(model, input, input_bytes, arena.cast(), arena_bytes) } {
        Ok(found) => *logits = found,
        Err(error) => return error.code(),
    }
    Error::NONE
}

/// Computes the logits for an input and returns where they are in the arena.
///
/// # Safety
/// See [`rfy_infer`].
unsafe fn infer(
    model: *const CModel,
    input: *const u8,
    input_bytes: usize,
    arena: *mut u32,
    arena_bytes: usize,
) -> Result<*const i32, Error> {
    // SAFETY: the caller promises that `model` is null or valid.
    let engine = unsafe { engine(model) }?;
    let input_region = Region::new(input.addr(), input_bytes, 1)?;
    let arena_region = Region::new(arena.addr(), arena_bytes, ARENA_ALIGNMENT)?;
    input_region.check()?;
    arena_region.check()?;
    arena_region.check_apart(input_region)?;
    arena_region.check_apart(Region::of(engine.model().bytes()))?;
    // SAFETY: `input` is not null, so the caller promises that it is valid for `input_bytes` bytes.
    // Bytes need no alignment.
    let input = unsafe { core::slice::from_raw_parts(input, input_bytes) };
    // SAFETY: `arena` is neither null nor misaligned, so the caller promises that it is valid for
    // `arena_bytes` bytes, of which these are as many whole words as there are, and that nothing
    // else refers to them. Every pattern of bits is a `u32`.
    let arena = unsafe { core::slice::from_raw_parts_mut(arena, arena_bytes / WORD) };
    Ok(engine.infer(input, arena)?.as_ptr())
}

/// Converts numbers in the units of the data to an input.
///
/// # Safety
/// `model` is null or valid for a [`CModel`], `values` for `count` numbers, which are aligned to 4
/// bytes, and `input` for `count` bytes. The input overlaps none of the others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rfy_quantize(
    model: *const CModel,
    values: *const f32,
    count: usize,
    input: *mut u8,
) -> i32 {
    // SAFETY: the contracts are the same.
    match unsafe { quantize(model, values, count, input) } {
        Ok(()) => Error::NONE,
        Err(error) => error.code(),
    }
}

/// Converts numbers to an input.
///
/// # Safety
/// See [`rfy_quantize`].
#[cfg_attr(not(feature = "units"), allow(unused_variables))]
#[inline(always)]
unsafe fn quantize(
    model: *const CModel,
    values: *const f32,
    count: usize,
    input: *mut u8,
) -> Result<(), Error> {
    // SAFETY: the caller promises that `model` is null or valid.
    let engine = unsafe { engine(model) }?;
    let length = count.saturating_mul(size_of::<f32>());
    let values_region = Region::new(values.addr(), length, align_of::<f32>())?;
    let input_region = Region::new(input.addr(), count, 1)?;
    values_region.check()?;
    input_region.check()?;
    input_region.check_apart(values_region)?;
    input_region.check_apart(Region::of(engine.model().bytes()))?;
    #[cfg(not(feature = "units"))]
    return Err(Error::NoUnits);
    #[cfg(feature = "units")]
    {
        // SAFETY: `values` is neither null nor misaligned, so the caller promises that it is valid
        // for `count` numbers. Every pattern of bits is an `f32`.
        let values = unsafe { core::slice::from_raw_parts(values, count) };
        // SAFETY: `input` is not null, so the caller promises that it is valid for `count` bytes
        // and that nothing else refers to them.
        let input = unsafe { core::slice::from_raw_parts_mut(input, count) };
        Ok(engine.quantize(values, input)?)
    }
}

/// Returns what a logit of 1 stands for, or 0 if the container does not state it, or if `model` is
/// null or was not parsed.
///
/// # Safety
/// `model` is null or valid for a [`CModel`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rfy_output_step(model: *const CModel) -> f32 {
    #[cfg(feature = "units")]
    // SAFETY: the contract is the same.
    if let Ok(engine) = unsafe { engine(model) } {
        return engine.output_step().unwrap_or(0.0);
    }
    #[cfg(not(feature = "units"))]
    let _ = model;
    0.0
}

/// Returns the index of the largest of `count` logits, of the first one in a tie, or 0 if there are
/// none.
///
/// # Safety
/// `logits` is null or valid for `count` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rfy_argmax(logits: *const i32, count: usize) -> usize {
    if logits.is_null() || (cfg!(debug_assertions) && !logits.is_aligned()) {
        return 0;
    }
    // SAFETY: `logits` is not null, so the caller promises that it is valid for `count` numbers.
    argmax(unsafe { core::slice::from_raw_parts(logits, count) })
}

/// Returns the message of an error code.
#[unsafe(no_mangle)]
pub extern "C" fn rfy_error_string(error: i32) -> *const c_char {
    error::message(error).as_ptr()
}
