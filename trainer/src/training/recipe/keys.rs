//! Reports wrong keys and values of a recipe in one sentence, in the words of a recipe's author.

use serde::de::DeserializeOwned;
use toml::Table;

use crate::names;

/// Parses `table`.
///
/// # Errors
/// Returns a sentence that names the key at fault. For an unknown key, it suggests the most
/// similar of the known keys and of `more`.
pub(super) fn parse<'a, T: DeserializeOwned>(
    table: &Table,
    more: impl IntoIterator<Item = &'a str>,
) -> Result<T, String> {
    table.clone().try_into().map_err(|error: toml::de::Error| {
        // Only the errors of parsing text have spans, by which the key is found.
        let text = toml::to_string(table).unwrap_or_default();
        match toml::from_str::<T>(&text) {
            Err(placed) => better(&text, &placed, more),
            Ok(_) => better(&text, &error, more),
        }
    })
}

/// Returns the message of `error`, found in `text`, as one sentence that names the key at fault. If
/// it is an unknown one, the sentence suggests the most similar of the known keys and of `more`.
pub(super) fn better<'a>(
    text: &str,
    error: &toml::de::Error,
    more: impl IntoIterator<Item = &'a str>,
) -> String {
    let message = error.message();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let start = error.span().map(|span| span.start.min(text.len()));
    let key = start.and_then(|start| key_before(text, start));
    let reason = |prefix: &str| message.strip_prefix(prefix);
    if let (Some(_), Some((unknown, known))) = (reason("unknown field"), quoted.split_first()) {
        let mut known: Vec<&str> = known.to_vec();
        known.extend(more.into_iter().map(|key| -> &str { key }));
        return match names::nearest(unknown, known) {
            Some(nearest) => format!("unknown key {unknown}: did you mean {nearest}?"),
            None => format!("unknown key {unknown}: leave it out"),
        };
    }
    if let (Some(_), Some((unknown, known))) = (reason("unknown variant"), quoted.split_first()) {
        let key = key.unwrap_or("a value");
        return format!("{key} is {unknown:?}, but must be {}", listed(known));
    }
    if let (Some(_), Some(missing)) = (reason("missing field"), quoted.first()) {
        return format!("{} lacks the key {missing}", key.unwrap_or("the recipe"));
    }
    let wrong = reason("invalid type: ").or_else(|| reason("invalid value: "));
    if let Some((given, wanted)) = wrong.and_then(|text| text.split_once(", expected ")) {
        let value = found(given);
        // For a value in a tagged table, such as an optimizer's, serde reports only the span of
        // the table.
        let is_outside = |start: usize| text[start..].starts_with(['{', '[']);
        let key = match start.is_none_or(is_outside) && !value.starts_with("a ") {
            true => match error.span() {
                Some(span) if text[start.unwrap_or(0)..].starts_with('{') => {
                    key_of(&text[span], &value)
                }
                _ => key_of(&text[start.unwrap_or(0)..], &value),
            },
            false => key,
        };
        let key = key.unwrap_or("a value");
        return format!("{key} is {value}, but must be {}", expected(wanted));
    }
    message.replace('\n', " ")
}

/// Returns the only key of `text` with this `value`, written as in TOML; `None` if there are none
/// or several.
fn key_of<'a>(text: &'a str, value: &str) -> Option<&'a str> {
    let places = text.match_indices(value).map(|(at, _)| at);
    let mut places = places.filter(|&at| text[..at].trim_end().ends_with('='));
    let only = places.next().filter(|_| places.next().is_none());
    key_before(text, only?)
}

/// Returns the key whose value begins at byte `start` of `text`.
fn key_before(text: &str, start: usize) -> Option<&str> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let before = text.get(..start)?;
    let line = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    // The head of a table names the key itself.
    if let (true, Some(head)) = (line.is_empty(), text[start..].strip_prefix('[')) {
        let key = head.split(']').next()?;
        return key.rsplit('.').next().filter(|key| key.chars().all(is_key));
    }
    // The key of a value in a list comes before the first `=` of its line.
    let end = match line.trim_end().ends_with('=') {
        true => line.trim_end().len() - 1,
        false => line.find('=')?,
    };
    let key = line[..end].trim_end();
    let key = &key[key.rfind(|c| !is_key(c)).map_or(0, |at| at + 1)..];
    (!key.is_empty()).then_some(key)
}

/// Converts serde's description of a value to the notation of a recipe.
fn found(given: &str) -> String {
    match given {
        "map" => "a table".into(),
        "sequence" => "a list".into(),
        given => {
            let value = given
                .split_once('`')
                .and_then(|(_, rest)| rest.strip_suffix('`'));
            let text = given.strip_prefix("string ");
            value.or(text).unwrap_or(given).into()
        }
    }
}

/// Converts serde's description of what it expected to the terms of TOML.
fn expected(wanted: &str) -> String {
    match wanted {
        wanted if wanted.contains("nonzero") => "a whole number of at least 1",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of at least 0",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" => "a text in quotes",
        "a sequence" => "a list",
        "a map" => "a table",
        wanted => wanted,
    }
    .into()
}

/// Returns the list of `names` in quotes, such as "l2" or "decoupled".
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
