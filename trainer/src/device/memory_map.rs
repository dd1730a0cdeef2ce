//! The memories of a board, as its linker script `memory.x` states them.

use serde::Serialize;

/// Bytes that the stack and the sections of a program are aligned to.
const ALIGNMENT: u64 = 8;

/// A region of a board's address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// First address.
    pub origin: u64,
    /// Length in bytes.
    pub length: u64,
}

impl Region {
    /// Returns `true` if `address` lies in the region.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        address >= self.origin && address - self.origin < self.length
    }
}

/// Returns the region `name` of the linker script `text`, which states one region per line.
///
/// # Errors
///
/// Returns a message that says what is wrong if the region's line is missing, repeated or
/// malformed.
pub(super) fn region(text: &str, name: &str) -> Result<Region, String> {
    let text = without_comments(text);
    let lines = text.lines().zip(1..);
    let mut found = lines.filter_map(|(line, number)| {
        let (left, right) = line.split_once(':')?;
        // Attributes may follow the name, as in `FLASH (rx) :`.
        let left = left.split('(').next()?.trim();
        (left == name).then_some((right, number))
    });
    let Some((right, number)) = found.next() else {
        return Err(format!("add a line `{name} : ORIGIN = ..., LENGTH = ...`"));
    };
    if let Some((_, again)) = found.next() {
        return Err(format!(
            "lines {number} and {again} both describe {name}; remove one"
        ));
    }
    parse(right, name).map_err(|why| format!("line {number}: {why}"))
}

/// Parses `ORIGIN = ..., LENGTH = ...` of the region `name`.
fn parse(text: &str, name: &str) -> Result<Region, String> {
    let (origin, length) = text
        .split_once(',')
        .ok_or_else(|| format!("write {name} as `{name} : ORIGIN = ..., LENGTH = ...`"))?;
    let region = Region {
        origin: value(origin, "ORIGIN")?,
        length: value(length, "LENGTH")?,
    };
    for (key, value) in [("ORIGIN", region.origin), ("LENGTH", region.length)] {
        if !value.is_multiple_of(ALIGNMENT) {
            return Err(format!(
                "the {key} of {name} is {value}; make it a multiple of {ALIGNMENT}"
            ));
        }
    }
    match region.origin.checked_add(region.length) {
        Some(end) if region.length > 0 && end <= 1 << 32 => Ok(region),
        _ => Err(format!(
            "{name} has {} bytes from {:#x} on; give it a length that ends within 32 bits of address",
            region.length, region.origin
        )),
    }
}

/// Parses `key = NUMBER`.
fn value(text: &str, key: &str) -> Result<u64, String> {
    let text = text.trim();
    let (found, value) = text.split_once('=').unwrap_or((text, ""));
    if found.trim() != key {
        return Err(format!("write `{key} = ...` instead of `{text}`"));
    }
    let value = value.trim();
    number(value).ok_or_else(|| {
        format!(
            "{key} is `{value}`; write a decimal or hexadecimal number, which may end in K or M, as in 128K"
        )
    })
}

/// Parses a number of a linker script: decimal or hexadecimal, with an optional suffix K or M.
fn number(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 1 << 10),
        b'M' | b'm' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let value = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok()?,
        None => digits.parse().ok()?,
    };
    value.checked_mul(unit)
}

/// Returns `text` with each comment replaced by a space and the comment's line breaks, so that
/// line numbers stay the same.
fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        let (comment, after) = comment.split_once("*/").unwrap_or((comment, ""));
        kept.push_str(before);
        kept.push(' ');
        kept.extend(comment.chars().filter(|&c| c == '\n'));
        rest = after;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_read_whatever_surrounds_them() {
        let text = "/* FLASH : ORIGIN = 0, LENGTH = 1K\n   RAM : ORIGIN = 0, LENGTH = 1K */\nMEMORY\n{\n  \
             FLASH (rx) : ORIGIN = 0x10000000, LENGTH = 256K /* of 512K */\n  \
             RAM(rwx) : ORIGIN = 0x20000000, LENGTH = 0x4000\n}\n";
        let read = |name| region(text, name).unwrap();
        let expected = |origin, length| Region { origin, length };
        assert_eq!(read("FLASH"), expected(0x1000_0000, 262_144));
        assert_eq!(read("RAM"), expected(0x2000_0000, 0x4000));
    }

    #[test]
    fn the_fault_of_a_line_is_stated_with_its_number() {
        for (line, expected) in [
            (
                "RAM : ORIGIN = 0, LENGTH = 128KB",
                "line 3: LENGTH is `128KB`",
            ),
            (
                "RAM : ORIGIN = 0, LENGTH = 8K - 256",
                "line 3: LENGTH is `8K - 256`",
            ),
            ("RAM : ORIGIN = x, LENGTH = 8K", "line 3: ORIGIN is `x`"),
            ("RAM : org = 0, LENGTH = 8K", "line 3: write `ORIGIN = ...`"),
            ("RAM : ORIGIN = 0", "line 3: write RAM as"),
            (
                "RAM : ORIGIN = 0, LENGTH = 8190",
                "line 3: the LENGTH of RAM is 8190",
            ),
            (
                "RAM : ORIGIN = 4, LENGTH = 8K",
                "line 3: the ORIGIN of RAM is 4",
            ),
            ("RAM : ORIGIN = 0, LENGTH = 0", "line 3: RAM has 0 bytes"),
            (
                "RAM : ORIGIN = 0xfffffff8, LENGTH = 16",
                "line 3: RAM has 16 bytes",
            ),
            ("/* RAM : ORIGIN = 0, LENGTH = 8K */", "add a line `RAM"),
            (
                "RAM : ORIGIN = 0, LENGTH = 8K\nRAM : ORIGIN = 0, LENGTH = 4K",
                "lines 3 and 4 both describe RAM",
            ),
        ] {
            let text = format!("/* two\n   lines */\n{line}\n");
            let error = region(&text, "RAM").unwrap_err();
            assert!(error.starts_with(expected), "{line}: {error}");
        }
    }
}
