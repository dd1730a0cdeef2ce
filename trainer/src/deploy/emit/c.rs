//! Writes networks as C99, in a header that C++ reads, too.

use rarefy_format::Pooling;

use super::plan::{Call, Plan, dimensions};
use super::put;
use super::syntax::{Function, Output, Syntax};
use super::windows::{Convolution, Pool, Windowed, plane};

/// The first words of every header.
pub(super) const START: &str = "/* A neural network as code: ";

/// C99, where the names of functions begin with the given prefix.
pub(super) struct C<'a>(pub(super) &'a str);

impl C<'_> {
    /// Returns a function that writes to `y`; `skip` is its second parameter, if it has one.
    // Without `restrict`, GCC reloads inputs after it has stored an output. That is faster:
    // otherwise it would keep them on the stack.
    fn function(&self, name: &str, skip: &str, target: &str, body: &str) -> String {
        // Sums may be constants.
        let unused = match body.contains("x(") || body.contains("x,") || body.contains("x[") {
            true => "",
            false => "    (void)x;\n",
        };
        format!(
            "\n{}_NO_INLINE static void {name}(const uint8_t *x{skip}, {target} *y)\n{{\n{unused}{body}}}\n",
            self.upper()
        )
    }

    /// Returns the prefix of macros.
    fn upper(&self) -> String {
        self.0.to_uppercase()
    }

    /// Returns the function of a layer that computes `y` in `loops` over the padded map `x`.
    fn windowed(&self, layer: &Windowed, skip: &str, loops: &str) -> String {
        let body = pad(layer) + loops;
        self.function(&self.layer(layer.number), skip, "uint8_t", &body)
    }

    /// Returns the loops of a convolution over its positions.
    fn positions(&self, layer: &Windowed, convolution: &Convolution) -> String {
        let (start, combine) = match convolution.pooling {
            None | Some(Pooling::Max) => {
                ("-2147483647 - 1", "sums[n] > kept[n] ? sums[n] : kept[n]")
            }
            Some(Pooling::Average) => ("0", "kept[n] + (sums[n] > 0 ? sums[n] : 0)"),
        };
        format!(
            "    for (uint32_t place = 0; place < {places}; place++) {{
        const uint32_t down = place / {width}, across = place % {width};
        int32_t sums[{outputs}], kept[{outputs}];
        for (uint32_t n = 0; n < {outputs}; n++) {{
            kept[n] = {start};
        }}
        for (uint32_t step = 0; step < {area}; step++) {{
            const uint32_t row = down * {pool} + step / {pool};
            const uint32_t column = across * {pool} + step % {pool};
            {layer}_sums(&x[row * {row} + column * {stride}], sums);
            for (uint32_t n = 0; n < {outputs}; n++) {{
{skip}                kept[n] = {combine};
            }}
        }}
        for (uint32_t n = 0; n < {outputs}; n++) {{
            y[n * {places} + place] = {stored};
        }}
    }}
",
            layer = self.layer(layer.number),
            places = plane(layer.output),
            width = layer.output.width,
            outputs = layer.output.channels,
            pool = convolution.pool,
            area = convolution.pool * convolution.pool,
            row = usize::from(layer.padded.width) * usize::from(layer.stride[0]),
            stride = layer.stride[1],
            skip = addition(convolution),
            stored = self.stored("kept[n]", layer.shift),
        )
    }

    /// Returns the statement that calls a layer's function.
    fn call(&self, layer: &Call) -> String {
        let value = |layer: usize| match layer {
            0 => "input".to_owned(),
            layer => format!("values_{layer}"),
        };
        let skip = layer.skip.map(|skip| format!(", {}", value(skip)));
        let target = match layer.is_last {
            true => "logits".to_owned(),
            false => value(layer.number),
        };
        format!(
            "    {}({}{}, {target});\n",
            self.layer(layer.number),
            value(layer.source),
            skip.unwrap_or_default()
        )
    }

    /// Returns the functions that a program calls.
    fn entries(&self, plan: &Plan<'_>) -> String {
        let (name, upper) = (self.0, self.upper());
        let hidden = plan.calls().filter(|call| !call.is_last);
        let values =
            hidden.map(|call| format!("    uint8_t values_{}[{}];\n", call.number, call.outputs));
        format!(
            "/* Computes the logits for `input`. */
static inline void {name}_infer(const uint8_t input[{upper}_INPUTS], int32_t logits[{upper}_OUTPUTS])
{{
{values}{calls}}}

/* Returns the class of `input`: the index of the largest logit, the first one of a tie. */
static inline int {name}_classify(const uint8_t input[{upper}_INPUTS])
{{
    int32_t logits[{upper}_OUTPUTS];
    int class_index = 0;
    {name}_infer(input, logits);
    for (int i = 1; i < {upper}_OUTPUTS; i++) {{
        if (logits[i] > logits[class_index]) {{
            class_index = i;
        }}
    }}
    return class_index;
}}
",
            values = values.collect::<String>(),
            calls = plan.calls().map(|it| self.call(&it)).collect::<String>(),
        )
    }

    /// Returns the comment at the beginning of the header.
    fn head(&self, plan: &Plan<'_>) -> String {
        let name = self.0;
        format!(
            "{START}{inputs} bytes in, {outputs} logits out.
 *
 * Written by `rarefy export --emit c` from the network in `{model}` (checksum {checksum:08x}):
 * the same logits, bit for bit. It is C99 and C++, needs nothing but <stdint.h>, allocates nothing
 * and has no variables outside of functions. Compile it with -O2 or -Os.
 *
 * Its run time depends only on which values are 0, since their weights may be skipped. The layers'
 * values are on the stack.
 *
{table} *
 * Include it in one source file, then:
 *
 *     #include \"{name}.h\"
 *     int class_index = {name}_classify(image); // const uint8_t image[{upper}_INPUTS]
 */
",
            inputs = plan.input().len(),
            outputs = plan.outputs(),
            // The name must not end the comment.
            model = plan.model.replace("*/", "* /").replace("/*", "/ *"),
            checksum = plan.checksum,
            table = plan.table(" *     "),
            upper = self.upper(),
        )
    }
}

impl Syntax for C<'_> {
    fn stored(&self, sum: &str, shift: u8) -> String {
        format!("{}_store({sum}, {shift})", self.0)
    }

    fn sum(&self, row: usize, bias: i32) -> String {
        format!("int32_t s{row} = {bias};")
    }

    fn column(&self, column: u16) -> String {
        format!("const int32_t x{column} = x({column});")
    }

    fn nonzero(&self, column: u16) -> String {
        format!("if (x{column} != 0)")
    }

    fn whole(&self, function: &Function<'_>, body: &str) -> String {
        self.function(function.name, "", target(function), body)
    }

    fn in_parts(&self, function: &Function<'_>, bodies: &[String]) -> String {
        let (mut code, mut calls) = (String::new(), String::new());
        for (index, body) in bodies.iter().enumerate() {
            let name = format!("{}_{}", function.name, index + 1);
            code += &self.function(&name, "", target(function), body);
            put(&mut calls, format_args!("    {name}(x, y);\n"));
        }
        code + &self.whole(function, &calls)
    }

    fn convolution(&self, layer: &Windowed, convolution: &Convolution) -> String {
        let skip = match convolution.skip {
            Some(_) => ", const uint8_t *skip",
            None => "",
        };
        self.windowed(layer, skip, &self.positions(layer, convolution))
    }

    fn pool(&self, layer: &Windowed, pool: &Pool) -> String {
        let combine = match pool.is_average {
            true => "kept + value",
            false => "value > kept ? value : kept",
        };
        let loops = format!(
            "    for (uint32_t n = 0; n < {channels}; n++) {{
        for (uint32_t place = 0; place < {plane}; place++) {{
            const uint32_t row = place / {width} * {down}, column = place % {width} * {across};
            int32_t kept = {start};
            for (uint32_t i = 0; i < {rows}; i++) {{
                for (uint32_t j = 0; j < {columns}; j++) {{
                    const int32_t value = x[n * {padded_plane} + (row + i) * {padded_width} + column + j];
                    kept = {combine};
                }}
            }}
            y[n * {plane} + place] = {stored};
        }}
    }}
",
            channels = layer.output.channels,
            padded_plane = plane(layer.padded),
            padded_width = layer.padded.width,
            plane = plane(layer.output),
            width = layer.output.width,
            down = layer.stride[0],
            across = layer.stride[1],
            start = pool.start,
            rows = pool.size[0],
            columns = pool.size[1],
            stored = self.stored("kept", pool.shift),
        );
        self.windowed(layer, "", &loops)
    }

    fn source(&self, plan: &Plan<'_>, functions: &str) -> String {
        let (name, upper) = (self.0, self.upper());
        format!(
            "{head}#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

/* The number of input bytes: {input}, channel by channel, row by row. */
#define {upper}_INPUTS {inputs}

/* The number of logits: one per class, or per number that the network computes. */
#define {upper}_OUTPUTS {outputs}

#ifdef __GNUC__
#define {upper}_NO_INLINE __attribute__((noinline))
#else
#define {upper}_NO_INLINE
#endif

/* Fails to compile where a negative number is not shifted right as on every common processor. */
typedef char {name}_arithmetic_shift[(-1 >> 1) == -1 ? 1 : -1];

/* The value of an input, for weighted sums. */
#define x(column) ((int32_t)x[column])

/* Returns the stored value of a hidden unit's sum. */
static inline uint8_t {name}_store(int32_t sum, int shift)
{{
    sum >>= shift;
    sum = sum < 0 ? 0 : sum;
    sum = sum > 255 ? 255 : sum;
    return (uint8_t)sum;
}}
{functions}
#undef x

{entries}
#endif
",
            head = self.head(plan),
            input = dimensions(plan.input()),
            inputs = plan.input().len(),
            outputs = plan.outputs(),
            entries = self.entries(plan),
        )
    }

    fn layer(&self, number: usize) -> String {
        format!("{}_layer_{number}", self.0)
    }
}

/// Returns the type of what a function computes.
fn target(function: &Function<'_>) -> &'static str {
    match function.result {
        Output::Sums => "int32_t",
        Output::Stored { .. } => "uint8_t",
    }
}

/// Returns statements that make `x` point to the padded map; none if there is no padding.
fn pad(layer: &Windowed) -> String {
    if layer.padding.is_none() {
        return String::new();
    }
    format!(
        "    uint8_t padded[{length}] = {{0}};
    for (uint32_t n = 0; n < {channels}; n++) {{
        for (uint32_t row = 0; row < {height}; row++) {{
            for (uint32_t column = 0; column < {width}; column++) {{
                padded[n * {padded_plane} + (row + {top}) * {padded_width} + column + {left}] =
                    x[n * {plane} + row * {width} + column];
            }}
        }}
    }}
    x = padded;
",
        length = layer.padded.len(),
        channels = layer.source.channels,
        height = layer.source.height,
        width = layer.source.width,
        plane = plane(layer.source),
        padded_plane = plane(layer.padded),
        padded_width = layer.padded.width,
        top = layer.padding.top,
        left = layer.padding.left,
    )
}

/// Returns the statement that adds the skip of a convolution, if it has one.
fn addition(convolution: &Convolution) -> String {
    let Some(skip) = &convolution.skip else {
        return String::new();
    };
    format!(
        "                sums[n] += (int32_t)skip[n * {} + row * {} + column] << {};\n",
        plane(skip.shape),
        skip.shape.width,
        skip.shift
    )
}
