//! Reports wrong keys of a recipe in one sentence.

use crate::names;

/// Returns serde's `message` as one sentence. If it is about an unknown field, the sentence
/// suggests the most similar of the fields that the message lists and of `more`.
pub(super) fn better<'a>(message: &'a str, more: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match (message.starts_with("unknown field"), words.split_first()) {
        (true, Some((unknown, known))) => {
            let known = known.iter().copied().chain(more);
            match names::nearest(unknown, known) {
                Some(nearest) => format!("unknown key {unknown}: did you mean {nearest}?"),
                None => format!("unknown key {unknown}: leave it out"),
            }
        }
        _ => message.replace('\n', " "),
    }
}
