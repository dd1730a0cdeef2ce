//! Reads what the table needs from the YAML files of probe-rs' registry.
//!
//! The files have a fixed form, which `probe-rs` and its tools write: chips are the items of the
//! list `variants`, not indented; their fields are indented by two spaces, those of cores and
//! memories by four, and those below by six. A line of another form is skipped, and a chip without
//! a core is an error.

use std::fmt;

/// A chip.
#[derive(Default)]
pub(super) struct Chip {
    pub(super) name: String,
    /// Names of the same chip in its packages.
    pub(super) packages: Vec<String>,
    /// Name and type of each core.
    pub(super) cores: Vec<(String, String)>,
    pub(super) memories: Vec<Memory>,
}

/// A memory of a chip.
#[derive(Default)]
pub(super) struct Memory {
    /// `Nvm`, `Ram` or `Generic`.
    kind: String,
    start: u64,
    end: u64,
    /// Names of the cores that access it; empty for all.
    cores: Vec<String>,
    alias: bool,
    boot: bool,
}

/// A region of a chip's address space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Region {
    origin: u64,
    length: u64,
}

impl fmt::Display for Region {
    /// Formats the origin and the length in hexadecimal: `8000000+40000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}+{:x}", self.origin, self.length)
    }
}

/// Returns the chips that the file `text` describes.
pub(super) fn read(text: &str) -> Result<Vec<Chip>, String> {
    let mut chips: Vec<Chip> = Vec::new();
    let (mut list, mut field, mut sublist) = ("", "", "");
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim_end();
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let (item, content) = match content.strip_prefix("- ") {
            Some(content) => (true, content),
            None => (false, content),
        };
        let (key, value) = content.split_once(':').unwrap_or((content, ""));
        let value = value.trim().trim_matches(['"', '\'']);
        if indent == 0 && !item {
            list = key;
        }
        if list != "variants" {
            continue;
        }
        match (indent, item) {
            (0, true) if key == "name" => chips.push(Chip {
                name: value.to_owned(),
                ..Chip::default()
            }),
            (2, false) => field = key,
            (2, true) => {
                sublist = "";
                let chip = chips.last_mut().ok_or("a field before the first chip")?;
                open(chip, field, content);
            }
            (4, false) => {
                sublist = key;
                if let Some(chip) = chips.last_mut() {
                    set(chip, field, key, value);
                }
            }
            (4, true) if field == "memory_map" && sublist == "cores" => {
                let memory = chips.last_mut().and_then(|chip| chip.memories.last_mut());
                memory
                    .ok_or("a core outside a memory")?
                    .cores
                    .push(content.to_owned());
            }
            (6, false) if field == "memory_map" => {
                let memory = chips.last_mut().and_then(|chip| chip.memories.last_mut());
                let memory = memory.ok_or("a field outside a memory")?;
                match (sublist, key) {
                    ("range", "start") => memory.start = number(value)?,
                    ("range", "end") => memory.end = number(value)?,
                    ("access", "boot") => memory.boot = value == "true",
                    _ => {}
                }
            }
            _ => {}
        }
    }
    match chips.iter().find(|chip| chip.cores.is_empty()) {
        Some(chip) => Err(format!("{} has no core", chip.name)),
        None if chips.is_empty() => Err("no chips".into()),
        None => Ok(chips),
    }
}

/// Appends an item to the list `field` of `chip`; `content` is the item's first line.
fn open(chip: &mut Chip, field: &str, content: &str) {
    match field {
        "package_variants" => chip.packages.push(content.trim_matches('\'').to_owned()),
        "cores" => {
            let name = content.strip_prefix("name:").unwrap_or_default().trim();
            chip.cores.push((name.to_owned(), String::new()));
        }
        "memory_map" => chip.memories.push(Memory {
            kind: content.trim_start_matches('!').to_owned(),
            ..Memory::default()
        }),
        _ => {}
    }
}

/// Sets a field of the last item of the list `field` of `chip`.
fn set(chip: &mut Chip, field: &str, key: &str, value: &str) {
    match (field, key, chip.cores.last_mut(), chip.memories.last_mut()) {
        ("cores", "type", Some(core), _) => core.1 = value.to_owned(),
        ("memory_map", "is_alias", _, Some(memory)) => memory.alias = value == "true",
        _ => {}
    }
}

/// Parses a decimal or hexadecimal number.
fn number(text: &str) -> Result<u64, String> {
    let value = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    value.map_err(|_| format!("{text:?} is not an address"))
}

/// Returns the flash that the first core of `chip` starts from, or else its first flash, with the
/// banks that follow without a gap.
pub(super) fn flash(chip: &Chip) -> Option<Region> {
    let mut banks = of_first_core(chip, "Nvm");
    banks.retain(|memory| !memory.alias);
    let first = banks.iter().find(|memory| memory.boot).or(banks.first())?;
    let regions = merged(&banks);
    let start = first.start;
    let region = regions
        .into_iter()
        .find(|region| (region.origin..region.origin + region.length).contains(&start))?;
    Some(Region {
        origin: start,
        length: region.origin + region.length - start,
    })
}

/// Returns the largest RAM of the first core of `chip`, with neighbours merged. RAM at the
/// addresses that Arm's memory map reserves for RAM is preferred, whatever its size.
pub(super) fn ram(chip: &Chip) -> Option<Region> {
    const SRAM: std::ops::Range<u64> = 0x2000_0000..0x4000_0000;
    let regions = merged(&of_first_core(chip, "Ram"));
    let rank = |region: &Region| {
        let usual = SRAM.contains(&region.origin);
        (usual, region.length, u64::MAX - region.origin)
    };
    regions.into_iter().max_by_key(rank)
}

/// Returns the memories of `kind` that the first core of `chip` accesses.
fn of_first_core<'a>(chip: &'a Chip, kind: &str) -> Vec<&'a Memory> {
    let core = &chip.cores[0].0;
    let memories = chip.memories.iter().filter(|memory| {
        memory.kind == kind && (memory.cores.is_empty() || memory.cores.contains(core))
    });
    memories.collect()
}

/// Returns the regions that `memories` cover, with neighbours and overlaps merged.
fn merged(memories: &[&Memory]) -> Vec<Region> {
    let mut spans: Vec<(u64, u64)> = memories.iter().map(|m| (m.start, m.end)).collect();
    spans.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (start, end) in spans {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    let region = |(origin, end)| Region {
        origin,
        length: end - origin,
    };
    merged.into_iter().map(region).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
name: Series
variants:
- name: A1
  package_variants:
  - A1Tx
  # A comment.

  cores:
  - name: main
    type: armv7em
    core_access_options: !Arm
      ap: !v1 0
  - name: other
    type: armv6m
  memory_map:
  - !Nvm
    name: OTP
    range:
      start: 0x1000
      end: 0x1010
    cores:
    - main
  - !Nvm
    range:
      start: 0x8000000
      end: 0x8010000
    cores:
    - main
    access:
      boot: true
  - !Nvm
    range:
      start: 0x8010000
      end: 0x8020000
  - !Ram # A comment.
    range:
      start: 0x10000000
      end: 0x10080000
    cores:
    - main
  - !Ram
    range:
      start: 0x20004000
      end: 0x20005000
    cores:
    - main
  - !Ram
    range:
      start: 0x20000000
      end: 0x20004000
    cores:
    - main
  - !Ram
    range:
      start: 0x30000000
      end: 0x30100000
    cores:
    - other
flash_algorithms:
- name: not_a_chip
";

    #[test]
    fn banks_are_merged_and_the_first_cores_usual_ram_is_taken() {
        let chips = read(FILE).unwrap();
        assert_eq!(chips.len(), 1);
        let chip = &chips[0];
        assert_eq!(
            (chip.name.as_str(), &chip.packages[..]),
            ("A1", &["A1Tx".to_owned()][..])
        );
        assert_eq!(chip.cores[0], ("main".into(), "armv7em".into()));
        assert_eq!(flash(chip).unwrap().to_string(), "8000000+20000");
        assert_eq!(ram(chip).unwrap().to_string(), "20000000+5000");
    }

    #[test]
    fn a_file_of_another_form_is_rejected() {
        assert!(read("").is_err());
        assert!(read("variants:\n- name: A1\n").is_err());
        assert!(read(&FILE.replace("0x8000000", "eight")).is_err());
    }
}
