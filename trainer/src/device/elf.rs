//! Sections and symbols of a linked program: a 32-bit ELF file.

use object::elf::{PT_LOAD, SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS};
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSymbol, SymbolKind};

/// A non-empty section that occupies memory of the device.
pub(super) struct Section {
    pub(super) name: String,
    /// Address at run time.
    pub(super) address: u64,
    /// Address that the section is loaded to: in flash for initialized data in RAM. `None` if no
    /// segment contains the section.
    pub(super) load_address: Option<u64>,
    /// Size in bytes.
    pub(super) size: u64,
    /// Whether the file holds the section's bytes; zeroed data is not stored.
    pub(super) stored: bool,
    pub(super) executable: bool,
    /// Contents of a section of code; empty for others.
    pub(super) code: Vec<u8>,
}

/// A name for an address.
pub(super) struct Symbol {
    pub(super) name: String,
    /// Address, without the bit that marks Thumb code.
    pub(super) address: u64,
    /// Size in bytes; 0 if unknown.
    pub(super) size: u64,
    pub(super) is_function: bool,
}

/// A parsed ELF file.
pub(super) struct Elf {
    pub(super) sections: Vec<Section>,
    pub(super) symbols: Vec<Symbol>,
}

impl Elf {
    /// Parses the ELF file `bytes`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, object::Error> {
        let file = ElfFile32::<Endianness>::parse(bytes)?;
        let endian = file.endian();
        let header = file.elf_header();
        let segments = header.program_headers(endian, bytes)?;
        let table = header.sections(endian, bytes)?;
        let mut sections = Vec::new();
        for section in table.iter() {
            let size = u64::from(section.sh_size(endian));
            let flags = section.sh_flags(endian);
            if flags & SHF_ALLOC == 0 || size == 0 {
                continue;
            }
            let address = u64::from(section.sh_addr(endian));
            let loads = segments.iter().filter(|s| s.p_type(endian) == PT_LOAD);
            let load_address = loads.into_iter().find_map(|segment| {
                let start = u64::from(segment.p_vaddr(endian));
                let end = start + u64::from(segment.p_memsz(endian));
                let inside = address >= start && address + size <= end;
                inside.then(|| address - start + u64::from(segment.p_paddr(endian)))
            });
            let name = table.section_name(endian, section)?;
            let executable = flags & SHF_EXECINSTR != 0;
            let code = match executable {
                true => section.data(endian, bytes)?.to_vec(),
                false => Vec::new(),
            };
            sections.push(Section {
                name: String::from_utf8_lossy(name).into_owned(),
                address,
                load_address,
                size,
                stored: section.sh_type(endian) != SHT_NOBITS,
                executable,
                code,
            });
        }
        let symbol = |symbol: object::read::elf::ElfSymbol32<'_, '_>| {
            let is_function = symbol.kind() == SymbolKind::Text;
            Some(Symbol {
                name: symbol.name().ok()?.to_owned(),
                address: symbol.address() & !u64::from(is_function),
                size: symbol.size(),
                is_function,
            })
        };
        Ok(Self {
            sections,
            symbols: file.symbols().filter_map(symbol).collect(),
        })
    }

    /// Returns the total size in bytes of the symbols whose names contain `part`.
    pub(super) fn symbol_size(&self, part: &str) -> u64 {
        let named = |symbol: &&Symbol| symbol.name.contains(part);
        let found = self.symbols.iter().filter(named);
        found.map(|symbol| symbol.size).sum()
    }
}
