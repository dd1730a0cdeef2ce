//! Parses the tables of an architecture file: keys, values and defaults.
//!
//! Each type of layer is a struct with its keys as fields, so serde rejects unknown keys, missing
//! keys and wrong types, and reports their positions.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde::de::{IgnoredAny, IntoDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Fault;
use super::numbers::{Clip, Count, InputShape, Pair, PoolSize, padding, valid};
use crate::data::InputScale;
use crate::graph::architecture;
use crate::graph::topology::Pooling;
use crate::graph::window::Padding;

/// The keys above the layers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preamble {
    /// Name of the architecture.
    pub(super) name: Spanned<String>,
    /// Shape of the input: (channels, height, width).
    pub(super) input: Spanned<InputShape>,
    /// The normalisation that the network expects of its input.
    pub(super) normalisation: Option<Spanned<InputScale>>,
    #[serde(rename = "layer")]
    _layers: Vec<IgnoredAny>,
}

/// A `[[layer]]` of the file.
#[derive(Debug)]
pub(super) struct LayerEntry {
    /// Position in bytes from the start of the text.
    pub(super) at: usize,
    /// Unique name, given or generated.
    pub(super) name: String,
    /// Names of the layers that it reads, if given; by default, the preceding layer.
    pub(super) from: Option<Spanned<Vec<String>>>,
    /// Type and options.
    pub(super) kind: Kind,
}

impl LayerEntry {
    /// Returns an error about the whole layer.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.at, Some(&self.name), reason)
    }
}

/// The type of a layer with its options.
#[derive(Debug)]
pub(super) enum Kind {
    Conv(Conv),
    Dense(Dense),
    Pool(Pooling, Pool),
    Add(Add),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conv {
    pub(super) channels: Count,
    pub(super) kernel: Pair,
    pub(super) stride: Option<Pair>,
    #[serde(default = "valid", deserialize_with = "padding")]
    pub(super) padding: Padding,
    pub(super) groups: Option<Count>,
    pub(super) bias: Option<bool>,
    pub(super) norm: Option<bool>,
    pub(super) relu: Option<Clip>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dense {
    pub(super) units: Count,
    pub(super) bias: Option<bool>,
    pub(super) norm: Option<bool>,
    pub(super) relu: Option<Clip>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) size: PoolSize,
    pub(super) stride: Option<Pair>,
    #[serde(default = "valid", deserialize_with = "padding")]
    pub(super) padding: Padding,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    pub(super) relu: Option<Clip>,
}

/// The keys that every layer accepts.
#[derive(Debug, Deserialize)]
struct CommonKeys {
    r#type: Type,
    name: Option<Spanned<String>>,
    from: Option<Spanned<Sources>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Type {
    Conv,
    Dense,
    MaxPool,
    AveragePool,
    Add,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected the name of a layer, or a list of two")]
enum Sources {
    One(String),
    Many(Vec<String>),
}

/// Parses `text` into the keys above the layers, and the layers.
pub(super) fn read(text: &str) -> Result<(Preamble, Vec<LayerEntry>), Fault> {
    let top: Preamble = toml::from_str(text).map_err(|e| fault(e, None))?;
    let name = top.name.get_ref();
    check_name(name).map_err(|reason| Fault::new(top.name.span().start, None, reason))?;
    if architecture::NAMES.contains(&name.as_str()) {
        let reason = format!("{name:?} is the name of a built-in architecture: choose another");
        return Err(Fault::new(top.name.span().start, None, reason));
    }
    if let Some(scale) = &top.normalisation {
        let InputShape(shape) = *top.input.get_ref();
        let checked = scale.get_ref().check_for(&shape);
        checked.map_err(|error| {
            Fault::new(scale.span().start, None, format!("normalisation: {error}"))
        })?;
    }
    let document = DeTable::parse(text).map_err(|e| fault(e, None))?;
    let mut document = document.into_inner();
    let Some(DeValue::Array(tables)) = document.remove("layer").map(Spanned::into_inner) else {
        unreachable!("the document has a list of layers");
    };
    let (mut layers, mut names) = (Vec::new(), Names::default());
    for table in tables {
        layers.push(layer(table, &mut names)?);
    }
    Ok((top, layers))
}

/// Parses one layer.
fn layer(table: Spanned<DeValue<'_>>, names: &mut Names) -> Result<LayerEntry, Fault> {
    let span = table.span();
    let at = span.start;
    let DeValue::Table(mut keys) = table.get_ref().clone() else {
        return Err(Fault::new(at, None, "a layer is a table: write [[layer]]"));
    };
    let given = keys
        .get("name")
        .and_then(|name| name.get_ref().as_str().map(String::from));
    let head = CommonKeys::deserialize(table.into_deserializer());
    let head = head.map_err(|e| fault(e, given.as_deref()))?;
    let name = match head.name {
        Some(name) => names.give(name.get_ref(), name.span().start)?,
        None => names.count(head.r#type, at)?,
    };
    for key in ["type", "name", "from"] {
        keys.remove(key);
    }
    let keys = Spanned::new(span, DeValue::Table(keys)).into_deserializer();
    let kind = match head.r#type {
        Type::Conv => Conv::deserialize(keys).map(Kind::Conv),
        Type::Dense => Dense::deserialize(keys).map(Kind::Dense),
        Type::MaxPool => Pool::deserialize(keys).map(|pool| Kind::Pool(Pooling::Max, pool)),
        Type::AveragePool => Pool::deserialize(keys).map(|pool| Kind::Pool(Pooling::Average, pool)),
        Type::Add => Add::deserialize(keys).map(Kind::Add),
    };
    let from = head.from.map(|from| {
        let span = from.span();
        let names = match from.into_inner() {
            Sources::One(name) => vec![name],
            Sources::Many(names) => names,
        };
        Spanned::new(span, names)
    });
    let kind = kind.map_err(|e| {
        let mut fault = fault(e, Some(&name));
        if fault.reason.starts_with("unknown field") {
            // The unknown key may be a misspelling of one of those removed above.
            fault.reason += "; every layer also takes `type`, `name` and `from`";
        }
        fault
    })?;
    Ok(LayerEntry {
        at,
        kind,
        name,
        from,
    })
}

/// The names in use so far.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    counts: HashMap<&'static str, usize>,
}

impl Names {
    /// Reserves `name` for the layer at position `at`; rejects names that are invalid, reserved or
    /// taken.
    fn give(&mut self, name: &str, at: usize) -> Result<String, Fault> {
        // Nodes that Rarefy adds are called bn1, relu1 or flatten.
        let own = ["input", "flatten", "bn", "relu"];
        if own.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit())) {
            let reason = format!(
                "the name {name:?} is reserved for layers that Rarefy adds: choose another"
            );
            return Err(Fault::new(at, None, reason));
        }
        check_name(name).map_err(|reason| Fault::new(at, None, reason))?;
        if !self.taken.insert(name.into()) {
            let reason = "an earlier layer has the same name: give each layer its own `name`";
            return Err(Fault::new(at, Some(name), reason));
        }
        Ok(name.into())
    }

    /// Generates and reserves the next name for an unnamed layer of type `kind` at position `at`.
    fn count(&mut self, kind: Type, at: usize) -> Result<String, Fault> {
        let kind = match kind {
            Type::Conv => "conv",
            Type::Dense => "fc",
            Type::MaxPool | Type::AveragePool => "pool",
            Type::Add => "add",
        };
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("{kind}{count}");
        self.give(&name, at)
    }
}

/// Checks that `name` can be part of tensor names and paths.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "the name {name:?} must consist of letters, digits, '-', '_' and '.'"
    ))
}

/// Converts an error of the TOML library to one line without an excerpt of the text.
fn fault(mut error: toml::de::Error, layer: Option<&str>) -> Fault {
    error.set_input(None);
    let reason = error.to_string();
    Fault::new(
        error.span().map_or(0, |span| span.start),
        layer,
        reason.split_whitespace().collect::<Vec<_>>().join(" "),
    )
}
