//! Reads the log of a program from its RTT buffer, as a debug probe does.
//!
//! The layout of the control block is SEGGER's: an identifier of 16 bytes, the numbers of channels
//! in both directions, and a descriptor of six words per channel.

use std::time::Duration;

use defmt_decoder::{DecodeError, Table};
use object::{Object, ObjectSymbol};

use super::super::log;
use super::gdb::Gdb;

/// Mode of a channel: the program waits while its buffer is full.
const BLOCKING: u32 = 2;
/// Offset of the first channel's descriptor in the control block, in bytes.
const CHANNEL: u64 = 24;
/// How often the buffer is read before the program counts as hanging.
const ATTEMPTS: usize = 2_000;

/// Offsets of a descriptor's words, in bytes.
mod word {
    pub(super) const BUFFER: u64 = 4;
    pub(super) const SIZE: u64 = 8;
    pub(super) const WRITE: u64 = 12;
    pub(super) const READ: u64 = 16;
    pub(super) const FLAGS: u64 = 20;
}

/// The log of a program.
pub(super) struct Reader {
    table: Table,
    /// Address of the control block.
    block: u64,
    /// Address of the program's entry, where RAM is initialized.
    entry: u64,
}

impl Reader {
    /// Finds the control block of the program `elf`.
    pub(super) fn new(elf: &[u8]) -> Self {
        let file = object::File::parse(elf).unwrap();
        let address = |name: &str| {
            let mut symbols = file.symbols();
            let found = symbols.find(|symbol| symbol.name() == Ok(name));
            found
                .unwrap_or_else(|| panic!("no symbol {name}"))
                .address()
        };
        Self {
            table: Table::parse(elf).unwrap().unwrap(),
            block: address("_SEGGER_RTT"),
            // The lowest bit of a function's address states that its code is Thumb.
            entry: address("main") & !1,
        }
    }

    /// Runs the program until it is done, and returns the lines of its log.
    pub(super) fn read_all(&self, gdb: &mut Gdb) -> Vec<String> {
        gdb.run_to(self.entry);
        let identifier = gdb.read(self.block, 16);
        assert_eq!(&identifier, b"SEGGER RTT\0\0\0\0\0\0");
        let channel = self.block + CHANNEL;
        gdb.write(channel + word::FLAGS, BLOCKING);
        let buffer = u64::from(gdb.word(channel + word::BUFFER));
        let size = gdb.word(channel + word::SIZE);

        let mut decoder = self.table.new_stream_decoder();
        let mut lines = Vec::new();
        for _ in 0..ATTEMPTS {
            gdb.run_for(Duration::from_millis(10));
            let read = gdb.word(channel + word::READ);
            let write = gdb.word(channel + word::WRITE);
            assert!(read < size && write < size, "{read} and {write} of {size}");
            // The unread part may wrap around the end of the buffer.
            let parts = match read <= write {
                true => [(read, write), (0, 0)],
                false => [(read, size), (0, write)],
            };
            for (start, end) in parts {
                if start < end {
                    let bytes = gdb.read(buffer + u64::from(start), (end - start) as usize);
                    decoder.received(&bytes);
                }
            }
            gdb.write(channel + word::READ, write);
            loop {
                match decoder.decode() {
                    Ok(frame) => lines.push(frame.display_message().to_string()),
                    Err(DecodeError::UnexpectedEof) => break,
                    Err(DecodeError::Malformed) => panic!("malformed frame after {lines:?}"),
                }
            }
            if lines.iter().any(|line| log::is_last(line)) {
                return lines;
            }
        }
        panic!("the program is not done: {lines:?}");
    }
}
