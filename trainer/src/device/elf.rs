//! Sections and symbols of a linked program: a 32-bit ELF file.

use object::elf::{PT_LOAD, SHF_ALLOC, SHF_EXECINSTR, SHT_NOBITS};
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSymbol};

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
}

/// A parsed ELF file.
pub(super) struct Elf {
    pub(super) sections: Vec<Section>,
    /// Names and sizes in bytes.
    symbols: Vec<(String, u64)>,
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
            sections.push(Section {
                name: String::from_utf8_lossy(name).into_owned(),
                address,
                load_address,
                size,
                stored: section.sh_type(endian) != SHT_NOBITS,
                executable: flags & SHF_EXECINSTR != 0,
            });
        }
        let symbol = |symbol: object::read::elf::ElfSymbol32<'_, '_>| {
            let name = symbol.name().ok()?.to_owned();
            Some((name, symbol.size()))
        };
        Ok(Self {
            sections,
            symbols: file.symbols().filter_map(symbol).collect(),
        })
    }

    /// Returns the total size in bytes of the symbols whose names contain `part`.
    pub(super) fn symbol_size(&self, part: &str) -> u64 {
        let found = self.symbols.iter().filter(|(name, _)| name.contains(part));
        found.map(|(_, size)| size).sum()
    }
}
