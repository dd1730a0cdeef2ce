//! Writes networks as Rust.

use rarefy_format::Pooling;

use super::plan::{Call, Plan, dimensions};
use super::put;
use super::syntax::{Function, Output, Syntax};
use super::windows::{Convolution, Pool, Windowed, plane};

/// The first words of every module.
pub(super) const START: &str = "//! A neural network as code: ";

/// The closure with which statements read inputs.
const CLOSURE: &str = "    let x = |column: usize| x[column] as i32;\n";

/// Rust.
pub(super) struct Rust;

impl Function<'_> {
    /// Returns the parameter and the result of the function.
    fn types(&self) -> (String, String) {
        let kind = match self.result {
            Output::Sums => "i32",
            Output::Stored { .. } => "u8",
        };
        let source = format!("x: &[u8; {}]", self.inputs);
        (source, format!("[{kind}; {}]", self.outputs))
    }

    /// Returns a function with these statements.
    fn rust(&self, body: &str) -> String {
        let (name, (source, target)) = (self.name, self.types());
        format!(
            "\n#[inline(never)]\nfn {name}({source}) -> {target} {{\n    let mut y = [0; {}];\n{body}    y\n}}\n",
            self.outputs
        )
    }
}

impl Syntax for Rust {
    fn stored(&self, sum: &str, shift: u8) -> String {
        format!("store({sum}, {shift})")
    }

    fn sum(&self, row: usize, bias: i32) -> String {
        format!("let mut s{row} = {bias};")
    }

    fn column(&self, column: u16) -> String {
        format!("let x{column} = x({column});")
    }

    fn nonzero(&self, column: u16) -> String {
        format!("if x{column} != 0")
    }

    fn whole(&self, function: &Function<'_>, body: &str) -> String {
        function.rust(&format!("{CLOSURE}{body}"))
    }

    fn in_parts(&self, function: &Function<'_>, bodies: &[String]) -> String {
        let (name, (source, target)) = (function.name, function.types());
        let (mut code, mut calls) = (String::new(), String::new());
        for (index, body) in bodies.iter().enumerate() {
            let number = index + 1;
            put(
                &mut code,
                format_args!(
                    "\n#[inline(never)]\nfn {name}_{number}({source}, y: &mut {target}) {{\n{CLOSURE}{body}}}\n"
                ),
            );
            put(
                &mut calls,
                format_args!("    {name}_{number}(x, &mut y);\n"),
            );
        }
        code + &function.rust(&calls)
    }

    fn convolution(&self, layer: &Windowed, convolution: &Convolution) -> String {
        let skip = convolution.skip.as_ref().map_or(String::new(), |skip| {
            format!(", skip: &[u8; {}]", skip.shape.len())
        });
        windowed(layer, &skip, &positions(layer, convolution))
    }

    fn pool(&self, layer: &Windowed, pool: &Pool) -> String {
        let combine = match pool.is_average {
            true => "kept + value as i32",
            false => "kept.max(value as i32)",
        };
        let loops = format!(
            "    for (x, y) in x.chunks_exact({padded_plane}).zip(y.chunks_exact_mut({plane})) {{
        for (place, y) in y.iter_mut().enumerate() {{
            let (row, column) = (place / {width} * {down}, place % {width} * {across});
            let mut kept = {start};
            for x in x.chunks_exact({padded_width}).skip(row).take({rows}) {{
                for &value in x.iter().skip(column).take({columns}) {{
                    kept = {combine};
                }}
            }}
            *y = store(kept, {shift});
        }}
    }}
",
            padded_plane = plane(layer.padded),
            padded_width = layer.padded.width,
            plane = plane(layer.output),
            width = layer.output.width,
            down = layer.stride[0],
            across = layer.stride[1],
            start = pool.start,
            rows = pool.size[0],
            columns = pool.size[1],
            shift = pool.shift,
        );
        windowed(layer, "", &loops)
    }

    fn source(&self, plan: &Plan<'_>, functions: &str) -> String {
        let (inputs, outputs) = (plan.input().len(), plan.outputs());
        let Plan {
            model, checksum, ..
        } = plan;
        format!(
            "{START}{inputs} bytes in, {outputs} logits out.
//!
//! Written by `rarefy export --emit rust` from the network in `{model}` (checksum {checksum:08x}):
//! the same logits, bit for bit. It depends on `core` only, allocates nothing and cannot panic.
//!
//! Its run time depends only on which values are 0, since their weights may be skipped. The layers'
//! values are on the stack.
//!
//! ```text
{table}//! ```
//!
//! Save it as `src/network.rs`, then:
//!
//! ```ignore
//! mod network;
//! let class = network::classify(&image); // image: [u8; network::INPUTS]
//! ```
#![allow(unused, clippy::all, clippy::pedantic)]

/// The number of input bytes: {input}, channel by channel, row by row.
pub const INPUTS: usize = {inputs};

/// The number of logits: one per class, or per number that the network computes.
pub const OUTPUTS: usize = {outputs};

/// Returns the class of `input`: the index of the largest logit, the first one of a tie.
pub fn classify(input: &[u8; INPUTS]) -> usize {{
    let logits = infer(input);
    let (mut class, mut largest) = (0, logits[0]);
    for (index, &logit) in logits.iter().enumerate() {{
        if logit > largest {{
            (class, largest) = (index, logit);
        }}
    }}
    class
}}

/// Returns the logits for `input`.
pub fn infer(input: &[u8; INPUTS]) -> [i32; OUTPUTS] {{
{calls}}}

/// Returns the stored value of a hidden unit's sum.
#[inline(always)]
fn store(sum: i32, shift: u32) -> u8 {{
    (sum >> shift).clamp(0, 255) as u8
}}
{functions}",
            table = plan.table("//! "),
            input = dimensions(plan.input()),
            calls = plan.calls().map(|it| call(&it)).collect::<String>(),
        )
    }

    fn layer(&self, number: usize) -> String {
        format!("layer_{number}")
    }
}

/// Returns the statement that calls a layer's function.
fn call(layer: &Call) -> String {
    let number = layer.number;
    let value = |layer: usize| match layer {
        0 => "input".to_owned(),
        layer => format!("&values_{layer}"),
    };
    let skip = layer.skip.map(|skip| format!(", {}", value(skip)));
    let skip = skip.unwrap_or_default();
    let call = format!("layer_{number}({}{skip})", value(layer.source));
    match layer.is_last {
        true => format!("    {call}\n"),
        false => format!("    let values_{number} = {call};\n"),
    }
}

/// Returns the function of a layer that computes `y` in `loops` over the padded map `x`; `skip` is
/// its second parameter, if it has one.
fn windowed(layer: &Windowed, skip: &str, loops: &str) -> String {
    format!(
        "
fn layer_{number}(x: &[u8; {inputs}]{skip}) -> [u8; {outputs}] {{
{pad}    let mut y = [0; {outputs}];
{loops}    y
}}
",
        number = layer.number,
        inputs = layer.source.len(),
        outputs = layer.output.len(),
        pad = pad(layer),
    )
}

/// Returns statements that shadow `x` with the padded map; none if there is no padding.
fn pad(layer: &Windowed) -> String {
    if layer.padding.is_none() {
        return String::new();
    }
    format!(
        "    let mut padded = [0; {length}];
    for (from, to) in x.chunks_exact({plane}).zip(padded.chunks_exact_mut({padded_plane})) {{
        let rows = to.chunks_exact_mut({padded_width}).skip({top});
        for (from, to) in from.chunks_exact({width}).zip(rows) {{
            for (from, to) in from.iter().zip(to.iter_mut().skip({left})) {{
                *to = *from;
            }}
        }}
    }}
    let x = &padded;
",
        length = layer.padded.len(),
        plane = plane(layer.source),
        padded_plane = plane(layer.padded),
        padded_width = layer.padded.width,
        width = layer.source.width,
        top = layer.padding.top,
        left = layer.padding.left,
    )
}

/// Returns the loops of a convolution over its positions.
fn positions(layer: &Windowed, convolution: &Convolution) -> String {
    let (start, combine) = match convolution.pooling {
        None | Some(Pooling::Max) => ("i32::MIN", "(*kept).max(sum)"),
        Some(Pooling::Average) => ("0", "*kept + sum.max(0)"),
    };
    let skip = addition(convolution);
    let mutable = if skip.is_empty() { "" } else { "mut " };
    format!(
        "    for place in 0..{places} {{
        let (down, across) = (place / {width}, place % {width});
        let mut kept = [{start}; {outputs}];
        for step in 0..{area} {{
            let row = down * {pool} + step / {pool};
            let column = across * {pool} + step % {pool};
            let window = x.get(row * {row} + column * {stride}..);
            if let Some(window) = window.and_then(|window| window.first_chunk::<{span}>()) {{
                let {mutable}sums = layer_{number}_sums(window);
{skip}                for (kept, sum) in kept.iter_mut().zip(sums) {{
                    *kept = {combine};
                }}
            }}
        }}
        for (y, kept) in y.chunks_exact_mut({places}).zip(kept) {{
            y[place] = store(kept, {shift});
        }}
    }}
",
        number = layer.number,
        places = plane(layer.output),
        width = layer.output.width,
        outputs = layer.output.channels,
        pool = convolution.pool,
        area = convolution.pool * convolution.pool,
        row = usize::from(layer.padded.width) * usize::from(layer.stride[0]),
        stride = layer.stride[1],
        span = convolution.span,
        shift = layer.shift,
    )
}

/// Returns the statements that add the skip of a convolution, if it has one.
fn addition(convolution: &Convolution) -> String {
    let Some(skip) = &convolution.skip else {
        return String::new();
    };
    format!(
        "                for (sum, plane) in sums.iter_mut().zip(skip.chunks_exact({})) {{
                    *sum += (plane[row * {} + column] as i32) << {};
                }}
",
        plane(skip.shape),
        skip.shape.width,
        skip.shift
    )
}
