//! Counts of executed blocks, window by window.
//!
//! A window is what the program executes from the start of its counter to the stop. Windows that
//! the program logs are written, and so is the first one, in which it measures an empty closure.
//! A window that it repeats without logging it is dropped.
//!
//! The file is text. A line `block ID ADDRESS INSTRUCTIONS` describes a block before its first
//! use. `window` begins a window, `layer N` continues it from the point at which the engine has
//! read the record of layer N. The other lines are `ID NEXT:COUNT ...`: the blocks that directly
//! followed block ID, and how often each did. Numbers are decimal.

use std::io::{self, Write};

/// What delimits the counts: functions of the program, and the model's layer records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// Address of the function that starts the counter.
    pub(crate) start: u64,
    /// Address of the function that stops it.
    pub(crate) stop: u64,
    /// Address of the function that begins a log line.
    pub(crate) log: u64,
    /// Address of the first layer record.
    pub(crate) records: u64,
    /// Number of layer records; 0 if layers need not be told apart.
    pub(crate) layers: u64,
}

/// Bytes of a layer record.
const RECORD_BYTES: u64 = 8;

/// What executing a block means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Start,
    Stop,
    Log,
    Other,
}

/// A block of instructions that are executed one after the other.
#[derive(Debug)]
struct Block {
    address: u64,
    instructions: usize,
    role: Role,
    described: bool,
    /// The blocks that directly followed this one in the window, each with its count.
    next: Vec<(usize, u64)>,
}

/// Counts blocks and writes them to a file.
#[derive(Debug)]
pub(crate) struct Counts<W> {
    marks: Marks,
    out: W,
    blocks: Vec<Block>,
    /// The block that was executed last, inside a window.
    last: Option<usize>,
    /// The layer whose record was read last in this window.
    layer: Option<u64>,
    /// The text of a window that has not been written.
    pending: Vec<u8>,
    windows: usize,
}

impl<W: Write> Counts<W> {
    pub(crate) fn new(marks: Marks, out: W) -> Self {
        Self {
            marks,
            out,
            blocks: Vec::new(),
            last: None,
            layer: None,
            pending: Vec::new(),
            windows: 0,
        }
    }

    /// Adds a block and returns its ID.
    pub(crate) fn add(&mut self, address: u64, instructions: usize) -> usize {
        let role = match address {
            _ if address == self.marks.start => Role::Start,
            _ if address == self.marks.stop => Role::Stop,
            _ if address == self.marks.log => Role::Log,
            _ => Role::Other,
        };
        self.blocks.push(Block {
            address,
            instructions,
            role,
            described: false,
            next: Vec::new(),
        });
        self.blocks.len() - 1
    }

    /// Returns `true` if reads of layer records are of interest.
    pub(crate) fn wants_reads(&self) -> bool {
        self.marks.layers > 0
    }

    /// Notes that the block `id` is about to be executed.
    pub(crate) fn execute(&mut self, id: usize) -> io::Result<()> {
        let role = self.blocks[id].role;
        if let Some(last) = self.last.replace(id) {
            let next = &mut self.blocks[last].next;
            match next.iter_mut().find(|(block, _)| *block == id) {
                Some((_, count)) => *count += 1,
                None => next.push((id, 1)),
            }
            if role == Role::Stop {
                self.finish();
            }
            return Ok(());
        }
        match role {
            Role::Start => self.begin(),
            Role::Log => {
                self.last = None;
                self.write()
            }
            Role::Stop | Role::Other => {
                self.last = None;
                Ok(())
            }
        }
    }

    /// Notes that the program reads from `address`.
    pub(crate) fn read(&mut self, address: u64) {
        let offset = address.wrapping_sub(self.marks.records);
        if self.last.is_none() || offset >= self.marks.layers * RECORD_BYTES {
            return;
        }
        let layer = offset / RECORD_BYTES;
        // Layers run in order; a record of an earlier one may be read again.
        if self.layer.is_none_or(|current| layer > current) {
            self.collect();
            self.layer = Some(layer);
            self.pending.extend(format!("layer {layer}\n").bytes());
        }
    }

    /// Begins a window. One that was not logged is dropped, except the first.
    fn begin(&mut self) -> io::Result<()> {
        if self.windows == 1 {
            self.write()?;
        }
        self.pending.clear();
        self.layer = None;
        self.pending.extend(b"window\n");
        self.windows += 1;
        Ok(())
    }

    /// Ends a window.
    fn finish(&mut self) {
        self.collect();
        self.last = None;
    }

    /// Moves the counts to the text of the window.
    fn collect(&mut self) {
        for id in 0..self.blocks.len() {
            if self.blocks[id].next.is_empty() {
                continue;
            }
            let next = std::mem::take(&mut self.blocks[id].next);
            let mut line = id.to_string();
            for (block, count) in next {
                line += &format!(" {block}:{count}");
            }
            self.pending.extend(line.bytes().chain([b'\n']));
        }
    }

    /// Writes the window that has ended, after describing blocks that are new.
    fn write(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        for (id, block) in self.blocks.iter_mut().enumerate() {
            if !block.described {
                block.described = true;
                let (address, instructions) = (block.address, block.instructions);
                writeln!(self.out, "block {id} {address} {instructions}")?;
            }
        }
        self.out.write_all(&self.pending)?;
        self.out.flush()?;
        self.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        start: 100,
        stop: 200,
        log: 300,
        records: 1000,
        layers: 2,
    };

    /// Returns counts of a program of five blocks: 0 starts, 1 stops, 2 logs, 3 and 4 compute.
    fn counts() -> Counts<Vec<u8>> {
        let mut counts = Counts::new(MARKS, Vec::new());
        for (address, instructions) in [(100, 5), (200, 6), (300, 7), (400, 8), (500, 9)] {
            counts.add(address, instructions);
        }
        counts
    }

    fn text(counts: &Counts<Vec<u8>>) -> &str {
        let text = std::str::from_utf8(&counts.out).unwrap();
        text.trim_start_matches(|c| c != 'w')
    }

    #[test]
    fn windows_that_are_logged_and_the_first_are_written() {
        let mut counts = counts();
        // Blocks outside windows are not counted; the first window is not logged.
        for id in [3, 4, 2, 0, 1, 4, 0, 3, 3, 4, 1, 2] {
            counts.execute(id).unwrap();
        }
        let first = "window\n0 1:1\n";
        let second = "window\n0 3:1\n3 3:1 4:1\n4 1:1\n";
        assert_eq!(text(&counts), format!("{first}{second}"));
        // A repeated window is dropped, and a line logged without a window writes nothing.
        for id in [2, 0, 3, 1, 0, 4, 1, 2] {
            counts.execute(id).unwrap();
        }
        assert_eq!(
            text(&counts),
            format!("{first}{second}window\n0 4:1\n4 1:1\n")
        );
        let blocks = "block 0 100 5\nblock 1 200 6\nblock 2 300 7\nblock 3 400 8\nblock 4 500 9\n";
        assert!(counts.out.starts_with(blocks.as_bytes()));
    }

    #[test]
    fn a_layer_begins_when_its_record_is_read() {
        let mut counts = counts();
        assert!(counts.wants_reads());
        counts.read(1000); // outside a window
        for (id, read) in [
            (0, 999),
            (3, 1007),
            (3, 1000),
            (4, 1008),
            (3, 1003),
            (4, 1016),
        ] {
            counts.execute(id).unwrap();
            counts.read(read);
        }
        for id in [1, 2] {
            counts.execute(id).unwrap();
        }
        assert_eq!(
            text(&counts),
            "window\n0 3:1\nlayer 0\n3 3:1 4:1\nlayer 1\n3 4:1\n4 3:1 1:1\n"
        );
    }
}
