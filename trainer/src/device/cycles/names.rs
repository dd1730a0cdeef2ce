//! Readable names of functions.

/// Returns the path that the symbol `mangled` stands for: without the crate's hash, and with the
/// last two parts only. A symbol that is not a mangled path is returned as it is.
pub(super) fn short(mangled: &str) -> String {
    let parts = parts(mangled).or_else(|| plain_path(mangled));
    parts.map_or_else(|| mangled.to_owned(), |parts| last_two(&parts))
}

/// Returns the parts of a path without generics in Rust's v0 mangling: `_R`, letters that nest the
/// path, `C`, the crate's hash, then the parts, each preceded by its length.
fn plain_path(mangled: &str) -> Option<Vec<&str>> {
    let nested = mangled.strip_prefix("_R")?;
    let (_, mut rest) = nested.split_once("Cs")?.1.split_once('_')?;
    let mut parts = Vec::new();
    while let Some(digits) = rest.find(|c: char| !c.is_ascii_digit()).filter(|&d| d > 0) {
        let length: usize = rest[..digits].parse().ok()?;
        let end = digits.checked_add(length)?;
        parts.push(rest.get(digits..end)?);
        rest = &rest[end..];
    }
    (!parts.is_empty()).then_some(parts)
}

/// Returns the parts of a path in Rust's legacy mangling: `_ZN`, then the parts, each preceded by
/// its length and the last of them a hash, then `E`.
fn parts(mangled: &str) -> Option<Vec<&str>> {
    let mut rest = mangled.strip_prefix("_ZN")?;
    let mut parts = Vec::new();
    while !rest.starts_with('E') {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let length: usize = rest[..digits].parse().ok()?;
        let end = digits.checked_add(length)?;
        parts.push(rest.get(digits..end)?);
        rest = &rest[end..];
    }
    let last = parts.last()?;
    if last.len() == 17 && last.starts_with('h') {
        parts.pop();
    }
    Some(parts)
}

/// Joins the last two parts, skipping those that contain types in angle brackets.
fn last_two(parts: &[&str]) -> String {
    let plain: Vec<&str> = parts.iter().copied().filter(|p| !p.contains('$')).collect();
    let last = &plain[plain.len().saturating_sub(2)..];
    last.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shortened() {
        for (mangled, expected) in [
            (
                "_ZN14rarefy_runtime6engine6Engine5infer17hc72f8530d1984121E",
                "Engine::infer",
            ),
            (
                "_ZN14rarefy_runtime7kernels8cortex_m4v7em5dense8products17h622b33893445dcddE",
                "dense::products",
            ),
            ("_ZN7measure5infer17h209be32e77942fadE", "measure::infer"),
            (
                "_ZN63_$LT$a..B$u20$as$u20$core..iter..traits..iterator..Iterator$GT$9size_hint4next17h209be32e77942fadE",
                "size_hint::next",
            ),
            (
                "_RNvNtNtCsjc7sn2q0iDy_17compiler_builtins3int19specialized_div_rem11u32_div_rem.llvm.5864861550599870333",
                "specialized_div_rem::u32_div_rem",
            ),
            ("memcpy", "memcpy"),
            ("_ZN99x", "_ZN99x"),
        ] {
            assert_eq!(short(mangled), expected);
        }
    }
}
