//! The tables of an architecture's file as they are written: keys, their values and defaults.
//!
//! Every kind of layer is a struct of its keys, so what is unknown, missing or of the wrong type
//! is refused by serde, which also knows where it stands.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Error as _, IgnoredAny, IntoDeserializer, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Fault, MOST};
use crate::graph::architecture;
use crate::graph::topology::Pooling;
use crate::graph::window::Padding;

/// What stands above the layers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Top {
    /// The architecture's name.
    pub(super) name: Spanned<String>,
    /// Channels, height, width.
    pub(super) input: Spanned<[Count; 3]>,
    #[serde(rename = "layer")]
    _layers: Vec<IgnoredAny>,
}

/// A `[[layer]]`.
#[derive(Debug)]
pub(super) struct Layer {
    /// Where it stands: bytes from the start of the text.
    pub(super) at: usize,
    /// Its name, given or counted; unique.
    pub(super) name: String,
    /// The names of what it reads; the layer before it where none are given.
    pub(super) from: Option<Spanned<Vec<String>>>,
    /// What it does.
    pub(super) kind: Kind,
}

impl Layer {
    /// A fault of the whole layer.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.at, Some(&self.name), reason)
    }
}

/// A layer's type and its options.
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
    pub(super) kernel: Count,
    pub(super) stride: Option<Count>,
    #[serde(default = "valid", deserialize_with = "padding")]
    pub(super) padding: Padding,
    pub(super) bias: Option<bool>,
    pub(super) norm: Option<bool>,
    pub(super) relu: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dense {
    pub(super) units: Count,
    pub(super) bias: Option<bool>,
    pub(super) norm: Option<bool>,
    pub(super) relu: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) size: Count,
    pub(super) stride: Option<Count>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    pub(super) relu: Option<bool>,
}

/// The keys of every layer; the others are its kind's.
#[derive(Debug, Deserialize)]
struct Head {
    r#type: Type,
    name: Option<Spanned<String>>,
    from: Option<Spanned<From>>,
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
enum From {
    One(String),
    Many(Vec<String>),
}

/// A number of channels, units, taps or positions: at least 1, at most [`MOST`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub(super) usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 1 to {MOST}")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Count, E> {
                match usize::try_from(number) {
                    Ok(count @ 1..=MOST) => Ok(Count(count)),
                    _ => Err(E::invalid_value(Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_i64(Number)
    }
}

fn valid() -> Padding {
    Padding::Valid
}

/// A padding: a word, or the zeros on each side.
fn padding<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Padding, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected \"valid\", \"same\" or the number of zeros on each side"
    )]
    enum Written {
        Zeros(u16),
        Word(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Zeros(zeros) => Ok(Padding::Each(zeros.into())),
        Written::Word(word) if word == "valid" => Ok(Padding::Valid),
        Written::Word(word) if word == "same" => Ok(Padding::Same),
        Written::Word(word) => Err(D::Error::invalid_value(
            Unexpected::Str(&word),
            &"\"valid\", \"same\" or the number of zeros on each side",
        )),
    }
}

/// The tables of `text`.
pub(super) fn read(text: &str) -> Result<(Top, Vec<Layer>), Fault> {
    let top: Top = toml::from_str(text).map_err(|e| fault(e, None))?;
    let name = top.name.get_ref();
    check_name(name).map_err(|reason| Fault::new(top.name.span().start, None, reason))?;
    if architecture::NAMES.contains(&name.as_str()) {
        let reason = format!("the name {name:?} is another architecture's: choose another");
        return Err(Fault::new(top.name.span().start, None, reason));
    }
    let document = DeTable::parse(text).map_err(|e| fault(e, None))?;
    let mut document = document.into_inner();
    let Some(DeValue::Array(tables)) = document.remove("layer").map(Spanned::into_inner) else {
        unreachable!("the top holds a list of layers");
    };
    let (mut layers, mut names) = (Vec::new(), Names::default());
    for table in tables {
        layers.push(layer(table, &mut names)?);
    }
    Ok((top, layers))
}

/// One layer.
fn layer(table: Spanned<DeValue<'_>>, names: &mut Names) -> Result<Layer, Fault> {
    let span = table.span();
    let at = span.start;
    let DeValue::Table(mut keys) = table.get_ref().clone() else {
        return Err(Fault::new(at, None, "a layer is a table: write [[layer]]"));
    };
    let given = keys
        .get("name")
        .and_then(|name| name.get_ref().as_str().map(String::from));
    let head = Head::deserialize(table.into_deserializer());
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
            From::One(name) => vec![name],
            From::Many(names) => names,
        };
        Spanned::new(span, names)
    });
    let kind = kind.map_err(|e| {
        let mut fault = fault(e, Some(&name));
        if fault.reason.starts_with("unknown field") {
            // It may have been meant for a key that was taken out above.
            fault.reason += "; every layer also takes `type`, `name`, `from`";
        }
        fault
    })?;
    Ok(Layer {
        at,
        kind,
        name,
        from,
    })
}

/// The names that layers have so far.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    counts: HashMap<&'static str, usize>,
}

impl Names {
    /// The `name` that the file gives at `at`.
    fn give(&mut self, name: &str, at: usize) -> Result<String, Fault> {
        // The nodes that follow from a layer are called so: bn1, relu1, flatten.
        let own = ["input", "flatten", "bn", "relu"];
        if own.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit())) {
            let reason = format!("the name {name:?} is kept for what Rarefy adds: choose another");
            return Err(Fault::new(at, None, reason));
        }
        check_name(name).map_err(|reason| Fault::new(at, None, reason))?;
        if !self.taken.insert(name.into()) {
            let reason = "an earlier layer has this name too: give each its own `name`";
            return Err(Fault::new(at, Some(name), reason));
        }
        Ok(name.into())
    }

    /// The next name for a layer of type `kind` that has none, at `at`.
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

/// Checks that `name` can stand in names of tensors and folders.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "the name {name:?} must be of letters, digits, '-', '_' and '.'"
    ))
}

/// What the TOML library found wrong, in one line without the text around it.
fn fault(mut error: toml::de::Error, layer: Option<&str>) -> Fault {
    error.set_input(None);
    let reason = error.to_string();
    Fault::new(
        error.span().map_or(0, |span| span.start),
        layer,
        reason.split_whitespace().collect::<Vec<_>>().join(" "),
    )
}
