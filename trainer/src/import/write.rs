//! Writes layers as an architecture file and its weights.

use std::collections::HashSet;
use std::fmt::Write;

use super::layers::{Kind, Layer};
use super::step::{Clip, Kernel, Norm, Origin, Sliding};
use super::walk::Refusal;
use crate::graph::{Graph, Operation, Padding, Pooling, Window};
use crate::network::{EPSILON, State};

/// Returns the architecture file called `name` of `layers` with this `input`, and the names of the
/// layers.
pub(super) fn architecture(name: &str, input: &[usize], layers: &[Layer]) -> (String, Vec<String>) {
    let names = names(layers);
    let mut text = format!("name = {name:?}\ninput = {input:?}\n");
    for (index, (layer, name)) in layers.iter().zip(&names).enumerate() {
        let _ = writeln!(text, "\n[[layer]]\nname = {name:?}");
        let source = |source: &Option<usize>| source.map_or("input", |source| &names[source]);
        match layer.sources.as_slice() {
            // The layer before this one is the default.
            [only] if *only == index.checked_sub(1) => {}
            [only] => drop(writeln!(text, "from = {:?}", source(only))),
            all => drop(writeln!(
                text,
                "from = {:?}",
                all.iter().map(source).collect::<Vec<_>>()
            )),
        }
        let map = match layer.sources[0] {
            None => input,
            Some(source) => &layers[source].first.shape,
        };
        text.push_str(&keys(layer, map));
        if !matches!(layer.kind, Kind::Pool(..)) {
            let relu = match layer.relu {
                None => "false",
                Some(Clip::Zero) => "true",
                Some(Clip::Six) => "6",
            };
            let _ = writeln!(text, "relu = {relu}");
        }
    }
    (text, names)
}

/// Returns the keys that describe what `layer` computes from a map or units of shape `before`.
fn keys(layer: &Layer, before: &[usize]) -> String {
    let norm = |kernel: &Kernel| {
        format!(
            "bias = {}\nnorm = {}\n",
            kernel.bias.is_some(),
            layer.norm.is_some()
        )
    };
    match &layer.kind {
        Kind::Dense(kernel) => {
            format!(
                "type = \"dense\"\nunits = {}\n{}",
                kernel.shape[0],
                norm(kernel)
            )
        }
        Kind::Conv(kernel, window) => {
            let (size, stride) = (pair(window.kernel), pair(window.stride));
            let padding = padding(window, before);
            let groups = match kernel.groups {
                1 => String::new(),
                groups => format!("groups = {groups}\n"),
            };
            format!(
                "type = \"conv\"\nchannels = {}\nkernel = {size}\nstride = {stride}\npadding = {padding}\n{groups}{}",
                kernel.shape[0],
                norm(kernel)
            )
        }
        Kind::Pool(kind, window) => {
            let kind = match kind {
                Pooling::Max => "max-pool",
                Pooling::Average => "average-pool",
            };
            let (size, stride) = (pair(window.kernel), pair(window.stride));
            let unpadded = window.padding == [[0; 2]; 2];
            let size = match before[1..] == window.kernel && window.stride == window.kernel {
                true if unpadded => "size = \"map\"".into(),
                _ => format!("size = {size}\nstride = {stride}"),
            };
            let padding = match unpadded {
                true => String::new(),
                false => format!("padding = {}\n", padding(window, before)),
            };
            format!("type = \"{kind}\"\n{size}\n{padding}")
        }
        Kind::Add => "type = \"add\"\n".into(),
    }
}

/// Returns a number along height and one along width as an architecture file states them.
fn pair([height, width]: [usize; 2]) -> String {
    match height == width {
        true => height.to_string(),
        false => format!("[{height}, {width}]"),
    }
}

/// Returns the padding of a window over a map of shape `before`, as an architecture file states
/// it.
fn padding(window: &Sliding, before: &[usize]) -> String {
    let [[top, left], [bottom, right]] = window.padding;
    if [left, bottom, right] == [top; 3] {
        return if top == 0 {
            "\"valid\"".into()
        } else {
            top.to_string()
        };
    }
    if let &[_, height, width] = before
        && let Some(same) =
            Window::rectangular(window.kernel, window.stride, Padding::Same, [height, width])
        && [same.before, same.after] == window.padding
    {
        return "\"same\"".into();
    }
    format!("[{top}, {left}, {bottom}, {right}]")
}

/// Returns a name per layer: that of its weight in the file if it is usable and not taken, or else
/// one by type and number.
fn names(layers: &[Layer]) -> Vec<String> {
    let mut names: Vec<Option<String>> = Vec::new();
    let mut taken = HashSet::new();
    for layer in layers {
        let name = given(&layer.first.origin).filter(|name| taken.insert(name.clone()));
        names.push(name);
    }
    let mut numbers = [0; 4];
    (names.into_iter().zip(layers))
        .map(|(name, layer)| {
            let (kind, at) = match layer.kind {
                Kind::Conv(..) => ("conv", 0),
                Kind::Dense(_) => ("fc", 1),
                Kind::Pool(..) => ("pool", 2),
                Kind::Add => ("add", 3),
            };
            numbers[at] += 1;
            if let Some(name) = name {
                return name;
            }
            while !taken.insert(format!("{kind}{}", numbers[at])) {
                numbers[at] += 1;
            }
            format!("{kind}{}", numbers[at])
        })
        .collect()
}

/// Returns the name of the layer whose weight is called `NAME.weight` in the file, if an
/// architecture file accepts it.
fn given(origin: &Origin) -> Option<String> {
    let name = origin.parameter.as_deref()?.strip_suffix(".weight")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let own = ["input", "flatten", "bn", "relu"];
    let is_own = own.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit()));
    (!name.is_empty() && name.chars().all(is_plain) && !is_own).then(|| name.into())
}

/// Returns the weights of `layers`, called `names`, in the layout of `graph`.
///
/// Batch norms of `graph` add [`EPSILON`] to the variance. A batch norm with another epsilon gets
/// scales with which it computes the same function.
///
/// # Errors
/// Returns the layer at fault and the reason if a value is not finite in f32.
pub(super) fn weights(layers: &[Layer], names: &[String], graph: &Graph) -> Result<State, Refusal> {
    let mut state = State::default();
    for (layer, name) in layers.iter().zip(names) {
        let mut put = |name: String, shape: &[usize], values: &[f64]| {
            let single: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            if let Some(at) = single.iter().position(|value| !value.is_finite()) {
                return Err(Refusal {
                    origin: layer.first.origin.clone(),
                    reason: format!(
                        "{name} would hold {} at element {at}: train the network again",
                        single[at]
                    ),
                });
            }
            state.insert(name, shape.to_vec(), single);
            Ok(())
        };
        let (Kind::Conv(kernel, _) | Kind::Dense(kernel)) = &layer.kind else {
            continue;
        };
        put(format!("{name}.weight"), &kernel.shape, &kernel.weights)?;
        if let Some(bias) = &kernel.bias {
            put(format!("{name}.bias"), &[bias.len()], bias)?;
        }
        let Some(norm) = &layer.norm else {
            continue;
        };
        let at = graph.nodes().iter().position(|node| node.name == *name);
        let node = at.and_then(|at| graph.nodes().get(at + 1));
        let node = node.filter(|node| node.operation == Operation::BatchNorm);
        let node = node.expect("the file says that the layer has a batch norm");
        let units = [norm.mean.len()];
        put(format!("{}.weight", node.name), &units, &scales(norm))?;
        put(format!("{}.bias", node.name), &units, &norm.affine.shift)?;
        put(format!("{}.running_mean", node.name), &units, &norm.mean)?;
        put(format!("{}.running_var", node.name), &units, &norm.variance)?;
    }
    Ok(state)
}

/// Returns the scales of a batch norm with the epsilon [`EPSILON`] that computes what `norm` does.
fn scales(norm: &Norm) -> Vec<f64> {
    let scales = norm.affine.scale.iter().zip(&norm.variance);
    scales
        .map(|(scale, variance)| scale * ((variance + EPSILON) / (variance + norm.epsilon)).sqrt())
        .collect()
}
