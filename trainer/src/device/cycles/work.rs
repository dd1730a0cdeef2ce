//! Turns counted steps between blocks into instructions and cycles.

use std::collections::{HashMap, HashSet};

use super::counts::{Block, Counts, Step};
use super::prices::{Executed, Taken, TimedCore, price};
use super::program::Program;
use super::range::Range;
use super::thumb::{Instruction, Kind};

/// The cost of executing a part of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) instructions: u64,
    /// Cycles without wait states.
    pub(crate) cycles: Range,
    /// Upper bound of the accesses to flash: words of instructions fetched, and words loaded.
    pub(crate) accesses: u64,
}

impl Work {
    pub(super) fn add(&mut self, other: Self) {
        self.instructions += other.instructions;
        self.cycles += other.cycles;
        self.accesses += other.accesses;
    }

    /// Returns the work of doing this `count` times.
    fn times(self, count: u64) -> Self {
        Self {
            instructions: self.instructions * count,
            cycles: self.cycles * count,
            accesses: self.accesses * count,
        }
    }

    /// Subtracts `other`.
    pub(super) fn less(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.saturating_sub(other.instructions),
            cycles: self.cycles.less(other.cycles),
            accesses: self.accesses.saturating_sub(other.accesses),
        }
    }

    /// Returns the cycles with `wait` wait states per access to flash: the lower bound assumes
    /// that prefetching hides all of them, the upper bound that it hides none.
    pub(crate) fn waiting(self, wait: u64) -> Range {
        Range {
            low: self.cycles.low,
            high: self.cycles.high + wait * self.accesses,
        }
    }
}

/// An instruction that the core's table does not price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unpriced {
    pub(crate) address: u64,
    /// The instruction's first bytes.
    pub(crate) code: Vec<u8>,
    pub(crate) function: String,
}

/// Prices the blocks of a program.
pub(super) struct Pricer<'a> {
    program: &'a Program,
    core: TimedCore,
    multiplier: Range,
    blocks: &'a [Block],
    /// The instructions of every block that was executed, with their addresses.
    decoded: HashMap<usize, Vec<(u64, Instruction)>>,
    /// Addresses of instructions in IT blocks.
    conditional: HashSet<u64>,
    /// Prices of whole blocks.
    known: HashMap<(usize, Taken), Work>,
}

impl<'a> Pricer<'a> {
    /// Decodes all blocks of `counts` that were executed in a window.
    ///
    /// # Errors
    ///
    /// Returns the first instruction that cannot be decoded.
    pub(super) fn new(
        program: &'a Program,
        counts: &'a Counts,
        core: TimedCore,
        multiplier: Range,
    ) -> Result<Self, Unpriced> {
        let mut pricer = Self {
            program,
            core,
            multiplier,
            blocks: &counts.blocks,
            decoded: HashMap::new(),
            conditional: HashSet::new(),
            known: HashMap::new(),
        };
        for step in counts.windows.iter().flatten() {
            for id in [step.from, step.to] {
                if !pricer.decoded.contains_key(&id) {
                    let instructions = pricer.decode(id)?;
                    pricer.decoded.insert(id, instructions);
                }
            }
        }
        Ok(pricer)
    }

    /// Decodes block `id`, and notes which instructions its IT instructions make conditional.
    fn decode(&mut self, id: usize) -> Result<Vec<(u64, Instruction)>, Unpriced> {
        let block = self.blocks[id];
        // Reading the timer is not priced.
        if self.program.is_counter(block.address) {
            return Ok(Vec::new());
        }
        let mut instructions = Vec::with_capacity(block.instructions);
        let mut address = block.address;
        for _ in 0..block.instructions {
            let instruction = self.program.decode(address);
            let instruction = instruction.ok_or_else(|| self.unpriced(address))?;
            instructions.push((address, instruction));
            address += u64::from(instruction.size);
            if let Kind::If(count) = instruction.kind {
                let mut next = address;
                for _ in 0..count {
                    self.conditional.insert(next);
                    let size = self.program.decode(next).map_or(2, |next| next.size);
                    next += u64::from(size);
                }
            }
        }
        Ok(instructions)
    }

    /// Returns the error for the instruction at `address`.
    fn unpriced(&self, address: u64) -> Unpriced {
        let code = self.program.code(address);
        Unpriced {
            address,
            code: code[..code.len().min(4)].to_vec(),
            function: self.program.function(address).to_owned(),
        }
    }

    /// Returns the work of all repetitions of `step`: that of its first block, and the difference
    /// in price of the second block's first instruction because it follows that block.
    ///
    /// # Errors
    ///
    /// Returns the first instruction that the table does not price.
    pub(super) fn step(&mut self, step: &Step) -> Result<Work, Unpriced> {
        let to = self.blocks[step.to].address;
        let from = &self.decoded[&step.from];
        let Some(&(address, last)) = from.last() else {
            return Ok(Work::default());
        };
        let next = address + u64::from(last.size);
        let taken = match to {
            _ if self.program.is_interrupt(to) => Taken::Unknown,
            _ if to == next => Taken::No,
            _ => Taken::Yes,
        };
        let mut work = self.block(step.from, taken)?.times(step.count);
        if taken == Taken::No
            && !last.branches()
            && let Some(&(address, ref first)) = self.decoded[&step.to].first()
        {
            let alone = self.price(address, first, None, Taken::No)?;
            let after = self.price(address, first, Some(&last), Taken::No)?;
            work.cycles.low =
                (work.cycles.low + after.low * step.count).saturating_sub(alone.low * step.count);
            work.cycles.high = (work.cycles.high + after.high * step.count)
                .saturating_sub(alone.high * step.count);
        }
        Ok(work)
    }

    /// Returns the work of block `id`, whose last instruction branches as `taken` says.
    fn block(&mut self, id: usize, taken: Taken) -> Result<Work, Unpriced> {
        if let Some(&work) = self.known.get(&(id, taken)) {
            return Ok(work);
        }
        let instructions = &self.decoded[&id];
        let (mut work, mut previous, mut bytes) = (Work::default(), None, 0);
        for (index, (address, instruction)) in instructions.iter().enumerate() {
            let taken = match index + 1 == instructions.len() {
                true => taken,
                false => Taken::No,
            };
            work.cycles += self.price(*address, instruction, previous, taken)?;
            work.instructions += 1;
            work.accesses += loads(instruction);
            bytes += u64::from(instruction.size);
            previous = Some(instruction);
        }
        // A block may begin in the middle of a word, and a branch wastes a word fetched after it.
        work.accesses += bytes.div_ceil(4) + 2;
        self.known.insert((id, taken), work);
        Ok(work)
    }

    /// Returns the price of `instruction` at `address`.
    fn price(
        &self,
        address: u64,
        instruction: &Instruction,
        previous: Option<&Instruction>,
        taken: Taken,
    ) -> Result<Range, Unpriced> {
        let executed = Executed {
            instruction,
            previous,
            taken,
            conditional: self.conditional.contains(&address),
        };
        let price = price(self.core, self.multiplier, &executed);
        price.ok_or_else(|| self.unpriced(address))
    }
}

/// Returns the number of words that `instruction` loads.
fn loads(instruction: &Instruction) -> u64 {
    use super::thumb::Float;
    match instruction.kind {
        Kind::Load(_) | Kind::LoadPc | Kind::Exclusive => 1,
        Kind::LoadTwo => 2,
        Kind::LoadMany(count) | Kind::LoadManyPc(count) => u64::from(count),
        Kind::Float(Float::Load(words)) => u64::from(words),
        _ => 0,
    }
}
