//! Generated blocks of the pages.

use std::fs;

use crate::command::root;

/// Returns the contents of the block `name` of `text`, without its fences.
pub(super) fn find<'t>(text: &'t str, name: &str) -> Result<&'t str, String> {
    let (_, block, _) = split(text, name)?;
    let block = block.trim_matches('\n');
    let inside = block.strip_prefix("```text\n");
    inside
        .and_then(|block| block.strip_suffix("\n```"))
        .ok_or_else(|| format!("the block {name} is not fenced as text"))
}

/// Returns `text` with `contents` as the block `name`.
pub(super) fn replace(text: &str, name: &str, contents: &str) -> Result<String, String> {
    replace_in(text, (name, "text"), contents)
}

/// Returns `text` with the program that `rarefy new` writes, without its attributes, as the block
/// `program`.
pub(super) fn with_program(text: &str) -> Result<String, String> {
    let path = root().join("firmware/examples/classify/src/main.rs");
    let program = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let (_, code) = program.split_once("\n\n").unwrap_or(("", &program));
    replace_in(text, ("program", "rust"), code)
}

/// Returns `text` with `contents`, which is in a language, as the block `name`.
fn replace_in(
    text: &str,
    (name, language): (&str, &str),
    contents: &str,
) -> Result<String, String> {
    let (before, _, after) = split(text, name)?;
    let contents = contents.trim_matches('\n');
    Ok(format!("{before}```{language}\n{contents}\n```\n{after}"))
}

/// Returns what `rarefy quickstart` printed without the boards after the first one.
pub(super) fn first_board(printed: &str) -> String {
    let mut boards = 0;
    let is_shown = |paragraph: &&str| {
        boards += usize::from(paragraph.contains(" (emulated "));
        boards < 2
    };
    let (tables, next) = printed.split_once("\nNext: ").unwrap_or((printed, ""));
    let shown: Vec<&str> = tables.split("\n\n").filter(is_shown).collect();
    format!("{}\nNext: {next}", shown.join("\n\n"))
}

/// Splits `text` into what precedes the contents of the block `name`, the contents, and the rest.
fn split<'t>(text: &'t str, name: &str) -> Result<(&'t str, &'t str, &'t str), String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let start = text.find(&open).map(|at| at + open.len());
    let end = text.find(&close);
    match (start, end) {
        (Some(start), Some(end)) if start <= end => {
            Ok((&text[..start], &text[start..end], &text[end..]))
        }
        _ => Err(format!("no page has a block {name}")),
    }
}

/// Formats the block `kernels` from the table that `cargo xtask bench kernels` writes: the cost of
/// LeNet-300-100 at each compression.
pub(super) fn kernels() -> Result<String, String> {
    let path = root().join("tests/networks/kernels.csv");
    let table = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let value = |kind: &str, network: &str, board: &str| {
        let line = table.lines().find_map(|line| {
            let mut fields = line.split(',');
            let found = [kind, network, board].map(|field| fields.next() == Some(field));
            (found == [true; 3]).then(|| fields.next()).flatten()
        });
        line.and_then(|value| value.parse().ok())
            .map_or("-".into(), |value: f64| thousands(value.round() as u64))
    };
    // Label, kind of figure, end of the network's name, board.
    let rows = [
        (
            "container, bytes, 4-bit weights",
            "container bytes",
            "size",
            "",
        ),
        (
            "instructions, Cortex-M4",
            "instructions",
            "speed-m4",
            "mps2-an386",
        ),
        (
            "instructions, Cortex-M0",
            "instructions",
            "speed-m0",
            "microbit",
        ),
        (
            "instructions, RISC-V (RV32IM)",
            "instructions",
            "speed-rv32",
            "qemu-virt-rv32",
        ),
        (
            "as straight-line code, Cortex-M4",
            "instructions as code",
            "code-m4",
            "mps2-an386",
        ),
    ];
    let compressions = ["10x", "100x", "300x", "1000x"];
    let mut block = format!("{:34}", "LeNet-300-100 on MNIST");
    block += &compressions
        .map(|compression| format!("{compression:>9}"))
        .concat();
    for (label, kind, goal, board) in rows {
        block += &format!("\n{label:34}");
        for compression in compressions {
            let network = format!("lenet-300-100-{compression}-{goal}");
            block += &format!("{:>9}", value(kind, &network, board));
        }
    }
    Ok(block)
}

/// Formats `number` with thousands separators.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_replaced_and_found_again() {
        let text = "a\n<!-- x -->\n```text\nold\n```\n<!-- /x -->\nb\n";
        assert_eq!(find(text, "x").unwrap(), "old");
        let new = replace(text, "x", "\nnew\nlines\n").unwrap();
        assert_eq!(find(&new, "x").unwrap(), "new\nlines");
        assert!(new.starts_with("a\n<!-- x -->") && new.ends_with("<!-- /x -->\nb\n"));
        assert!(replace(text, "y", "").is_err() && find("<!-- x -->\n", "x").is_err());
    }

    #[test]
    fn thousands_are_separated() {
        let numbers = [0, 999, 1_000, 266_200, 1_000_000].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "266,200", "1,000,000"]);
    }
}
