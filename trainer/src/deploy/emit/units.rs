//! Emits the units of a network: functions that convert numbers to an input, and logits to numbers,
//! as the engine does, bit for bit.

use rarefy_format::UnitsSpec;

use super::put;

/// Returns source to append to a header that [`c`](super::c()) returned with this `prefix`, for a
/// network with `units`.
///
/// # Panics
/// Panics if there are no maps.
#[must_use]
pub fn units_in_c(prefix: &str, units: &UnitsSpec) -> String {
    let maps = &units.maps;
    assert!(!maps.is_empty(), "no maps to bytes");
    let (count, step, upper) = (maps.len(), units.output_step, prefix.to_uppercase());
    let maps = maps.iter().map(|map| {
        let (minimum, factor) = (map.minimum, map.factor);
        format!("    {{{minimum:?}f, {factor:?}f}},\n")
    });
    format!(
        "
#ifndef {upper}_OUTPUT_STEP
/* What a logit of 1 stands for: an output in its own units is its logit times this step. */
#define {upper}_OUTPUT_STEP {step:?}f

/* The maps from numbers to input bytes, as their minimum and factor: the input byte of x is
 * (x - minimum) * factor + 0.5, truncated and limited to 0 to 255. Each applies to
 * {upper}_INPUTS / {count} consecutive inputs. */
static const float {prefix}_byte_maps[{count}][2] = {{
{maps}}};

/* Stores the input of `values`, which are in the units of the data that the network was trained on,
 * such as a sensor's readings. */
static inline void {prefix}_quantize(const float values[{upper}_INPUTS], uint8_t input[{upper}_INPUTS])
{{
    for (uint32_t i = 0; i < {upper}_INPUTS; i++) {{
        const float *map = {prefix}_byte_maps[i / ({upper}_INPUTS / {count})];
        /* Volatile keeps the compiler from rounding product and sum only once. */
        const volatile float product = (values[i] - map[0]) * map[1];
        const float byte = product + 0.5f;
        input[i] = (uint8_t)(byte >= 255.0f ? 255.0f : byte > 0.0f ? byte : 0.0f);
    }}
}}

/* Stores the outputs in their own units that `logits` stand for. */
static inline void {prefix}_dequantize(const int32_t logits[{upper}_OUTPUTS], float outputs[{upper}_OUTPUTS])
{{
    for (uint32_t i = 0; i < {upper}_OUTPUTS; i++) {{
        outputs[i] = (float)logits[i] * {upper}_OUTPUT_STEP;
    }}
}}
#endif
",
        maps = maps.collect::<String>()
    )
}

/// Returns source to append to a module that [`rust`](super::rust()) returned, for a network with
/// `units`. Its functions compute what the engine's of the same names do, bit for bit.
///
/// # Panics
/// Panics if there are no maps.
#[must_use]
pub fn units(units: &UnitsSpec) -> String {
    let maps = &units.maps;
    assert!(!maps.is_empty(), "no maps to bytes");
    let (count, step) = (maps.len(), units.output_step);
    let mut text = format!(
        "
/// What a logit of 1 stands for: an output in its own units is its logit times this step.
pub const OUTPUT_STEP: f32 = {step:?};

/// The maps from numbers to input bytes, as their minimum and factor: the input byte of `x` is
/// `(x - minimum) * factor + 0.5`, truncated and limited to 0 to 255. Each applies to
/// `INPUTS / {count}` consecutive inputs.
pub const BYTE_MAPS: [(f32, f32); {count}] = [
"
    );
    for map in maps {
        let (minimum, factor) = (map.minimum, map.factor);
        put(&mut text, format_args!("    ({minimum:?}, {factor:?}),\n"));
    }
    text + "];

/// Returns the input of `values`, which are in the units of the data that the network was trained
/// on, such as a sensor's readings.
pub fn quantize<T: Copy + Into<f32>>(values: &[T; INPUTS]) -> [u8; INPUTS] {
    const SHARE: usize = INPUTS / BYTE_MAPS.len();
    let mut input = [0; INPUTS];
    let rows = values.chunks(SHARE).zip(input.chunks_mut(SHARE));
    for (&(minimum, factor), (values, bytes)) in BYTE_MAPS.iter().zip(rows) {
        for (&value, byte) in values.iter().zip(bytes) {
            // The conversion truncates and saturates.
            *byte = ((value.into() - minimum) * factor + 0.5) as u8;
        }
    }
    input
}

/// Returns the outputs in their own units that `logits` stand for.
pub fn dequantize(logits: &[i32; OUTPUTS]) -> [f32; OUTPUTS] {
    logits.map(|logit| logit as f32 * OUTPUT_STEP)
}
"
}
