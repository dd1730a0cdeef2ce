//! Suggestions for mistyped names.

/// Jaro similarity above which a known name is suggested: clap's threshold for its own
/// suggestions.
const SIMILAR: f64 = 0.7;

/// Returns the name in `known` that is most similar to `name` by Jaro similarity, ignoring case,
/// or `None` if none is similar.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    similar(name, known)
        .into_iter()
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Returns up to `count` names in `known` that are similar to `name`, the most similar one first.
pub fn ranked<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    count: usize,
) -> Vec<&'a str> {
    let mut similar = similar(name, known);
    similar.sort_by(|a, b| b.0.total_cmp(&a.0));
    similar.truncate(count);
    similar.into_iter().map(|(_, known)| known).collect()
}

/// Returns the names in `known` that are similar to `name`, each with its Jaro similarity.
fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<(f64, &'a str)> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::jaro(&name, &known.to_lowercase()), known))
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .collect()
}

/// Returns the error message for an unknown `name`, where `kind` says what it should name
/// ("board"). The message suggests the most similar name in `known` and ends with `listed`, which
/// says where all of them are listed.
pub fn unknown<'a>(
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    listed: &str,
) -> String {
    match nearest(name, known) {
        Some(nearest) => format!("there is no {kind} {name:?}: did you mean {nearest}? {listed}"),
        None => format!("there is no {kind} {name:?}: {listed}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_are_recognised() {
        let sets = ["digits", "mnist", "fashion-mnist"];
        for (typed, meant) in [
            ("mnst", Some("mnist")),
            ("mnsit", Some("mnist")),
            ("MNIST", Some("mnist")),
            ("fashion_mnist", Some("fashion-mnist")),
            ("digit", Some("digits")),
            ("imagenet", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, sets), meant, "{typed}");
        }
        let boards = ["mps2-an385", "mps2-an386", "microbit"];
        assert_eq!(
            unknown("board", "mps2-an368", boards, "`rarefy boards` lists all"),
            "there is no board \"mps2-an368\": did you mean mps2-an386? `rarefy boards` lists all"
        );
        assert_eq!(
            unknown("board", "arduino", boards, "`rarefy boards` lists all"),
            "there is no board \"arduino\": `rarefy boards` lists all"
        );
    }
}
