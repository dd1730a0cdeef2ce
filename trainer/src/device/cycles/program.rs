//! A linked program: its code, its functions, and where measurements start and stop.

use super::super::elf::{Elf, Symbol};
use super::names::short;
use super::thumb::{self, Instruction};

/// Bytes of a container before its layer records.
const HEADER_BYTES: u64 = rarefy_format::HEADER_BYTES as u64;
/// Section of the model.
const MODEL: &str = ".rarefy_model";

/// A function of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Path of the function, without the hash.
    pub(crate) name: String,
    pub(crate) address: u64,
    /// Size in bytes.
    size: u64,
}

impl Function {
    fn contains(&self, address: u64) -> bool {
        address >= self.address && address - self.address < self.size
    }
}

/// What counting needs to know of a program.
#[derive(Debug)]
pub(crate) struct Program {
    /// Sections of code, with their addresses.
    code: Vec<(u64, Vec<u8>)>,
    /// Sorted by address.
    functions: Vec<Function>,
    /// The function that starts the counter.
    pub(crate) start: Function,
    /// The function that stops it.
    pub(crate) stop: Function,
    /// Address of the function that begins a log line.
    pub(crate) log: u64,
    /// Address of the model's first layer record, if the program contains a model.
    pub(crate) records: Option<u64>,
    /// Address of the handler that interrupts measurements.
    interrupt: Option<u64>,
}

impl Program {
    /// Reads the ELF file `bytes`.
    ///
    /// # Errors
    ///
    /// Returns an error if it is unreadable, or lacks the functions that delimit measurements.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let elf = Elf::parse(bytes).map_err(|error| error.to_string())?;
        let symbols = || elf.symbols.iter().filter(|s| s.is_function && s.size > 0);
        let function = |symbol: &Symbol| Function {
            name: short(&symbol.name),
            address: symbol.address,
            size: symbol.size,
        };
        let find = |part: &str| {
            let found = symbols().find(|symbol| symbol.name.contains(part));
            let missing = || format!("the program has no function `{part}`");
            found.map(function).ok_or_else(missing)
        };
        // Mangled names: the length of each part precedes it.
        let (start, stop) = (find("5Timer5reset")?, find("5Timer5since")?);
        let mut functions: Vec<Function> = symbols().map(function).collect();
        functions.sort_by_key(|function| function.address);
        functions.dedup_by_key(|function| function.address);
        let model = elf.sections.iter().find(|section| section.name == MODEL);
        let executable = elf.sections.iter().filter(|section| section.executable);
        let interrupt = symbols().find(|symbol| symbol.name == "SysTick");
        Ok(Self {
            log: find("_defmt_acquire")?.address,
            records: model.map(|section| section.address + HEADER_BYTES),
            interrupt: interrupt.map(|symbol| symbol.address),
            code: executable
                .map(|section| (section.address, section.code.clone()))
                .collect(),
            functions,
            start,
            stop,
        })
    }

    /// Returns the bytes of the program's code from `address` on.
    pub(super) fn code(&self, address: u64) -> &[u8] {
        let from = |(start, code): &(u64, Vec<u8>)| {
            let offset = usize::try_from(address.checked_sub(*start)?).ok()?;
            (offset < code.len()).then_some(offset)
        };
        let mut sections = self.code.iter();
        let found = sections.find_map(|section| Some(&section.1[from(section)?..]));
        found.unwrap_or_default()
    }

    /// Decodes the instruction at `address`.
    pub(super) fn decode(&self, address: u64) -> Option<Instruction> {
        thumb::decode(self.code(address))
    }

    /// Returns the name of the function that contains `address`.
    pub(super) fn function(&self, address: u64) -> &str {
        let after = self.functions.partition_point(|f| f.address <= address);
        let found = self.functions[..after].last();
        let found = found.filter(|function| function.contains(address));
        found.map_or("?", |function| &function.name)
    }

    /// Returns `true` if `address` is part of starting or stopping the counter.
    pub(super) fn is_counter(&self, address: u64) -> bool {
        self.start.contains(address) || self.stop.contains(address)
    }

    /// Returns `true` if `address` is that of the interrupt handler.
    pub(super) fn is_interrupt(&self, address: u64) -> bool {
        self.interrupt == Some(address)
    }
}
