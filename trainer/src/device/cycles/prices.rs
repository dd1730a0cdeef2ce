//! What each kind of instruction costs, in cycles, without wait states.
//!
//! Sources, all published by Arm:
//!
//! | core | Technical Reference Manual | place |
//! |---|---|---|
//! | Cortex-M0 | r0p0, DDI 0432C | section 3.3, table 3-1 |
//! | Cortex-M0+ | r0p1, DDI 0484C | section 3.3, table 3-1 |
//! | Cortex-M3 | r2p1, DDI 0337I | 3.3.1, table 3-1; loads and stores: 3.3.2, page 3-9 |
//! | Cortex-M4 | r0p1, DDI 0439D | 3.3.1, tables 3-1 and 3-2; loads and stores: 3.3.3 |
//! | its FPU | the same | section 7.2.3, table 7-1 |
//!
//! Where a manual leaves a range, the price is that range. Prices assume memories as fast as the
//! core; [`super::work`] adds wait states.

use super::range::Range;
use super::thumb::{Float, Instruction, Kind, Offset};

/// A core with a published table of cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimedCore {
    M0,
    M0Plus,
    M3,
    M4,
}

impl TimedCore {
    /// Returns the core that a board calls `name`, such as "Cortex-M4F"; `None` if no table is
    /// published for it.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name.strip_prefix("Cortex-")? {
            "M0" => Some(Self::M0),
            "M0+" => Some(Self::M0Plus),
            "M3" => Some(Self::M3),
            "M4" | "M4F" => Some(Self::M4),
            _ => None,
        }
    }

    /// Returns `true` if the core is built with one of two multipliers.
    pub(crate) fn has_choice_of_multiplier(self) -> bool {
        matches!(self, Self::M0 | Self::M0Plus)
    }
}

/// What is known about a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Taken {
    No,
    Yes,
    /// An exception interrupted the program at the branch.
    Unknown,
}

/// An instruction, and what else its price depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executed<'a> {
    pub(crate) instruction: &'a Instruction,
    /// The instruction executed before, unless it branched here.
    pub(crate) previous: Option<&'a Instruction>,
    pub(crate) taken: Taken,
    /// Whether the instruction is in an IT block, so that it may have been skipped.
    pub(crate) conditional: bool,
}

/// Returns the price of `executed` on `core`, whose multiplier takes `multiplier` cycles (ARMv6-M
/// only). Returns `None` if the core's table has no such instruction.
pub(crate) fn price(core: TimedCore, multiplier: Range, executed: &Executed<'_>) -> Option<Range> {
    let price = match core {
        TimedCore::M0 | TimedCore::M0Plus => v6m(core, multiplier, executed)?,
        TimedCore::M3 | TimedCore::M4 => v7m(core, executed)?,
    };
    let skipped = executed.conditional && !executed.instruction.branches();
    Some(match skipped {
        // An instruction that its condition skips takes a cycle.
        true => price.or(Range::exactly(1)),
        false => price,
    })
}

/// Returns the price of a branch: `not` if it is not taken, `is` if it is, and a range that
/// contains both if that is unknown.
fn branch(taken: Taken, not: Range, is: Range) -> Range {
    match taken {
        Taken::No => not,
        Taken::Yes => is,
        Taken::Unknown => not.or(is),
    }
}

/// Returns the price on a Cortex-M0 or M0+.
fn v6m(core: TimedCore, multiplier: Range, executed: &Executed<'_>) -> Option<Range> {
    // Cycles that the two cores differ in.
    let by_core = |m0: u64, plus: u64| match core {
        TimedCore::M0 => m0,
        _ => plus,
    };
    let Instruction { kind, size, .. } = *executed.instruction;
    if size > 2 && !matches!(kind, Kind::BranchLink | Kind::Status | Kind::Barrier) {
        return None; // ARMv6-M has no other instruction of 32 bits
    }
    let cycles = match kind {
        Kind::Data => 1,
        Kind::DataToPc => by_core(3, 2),
        Kind::Multiply => return Some(multiplier),
        // The Cortex-M0+ takes 1 cycle for single-cycle I/O ports, which hold no data of ours.
        Kind::Load(_) | Kind::Store(_) => 2,
        Kind::LoadMany(count) | Kind::StoreMany(count) => 1 + u64::from(count),
        Kind::LoadManyPc(count) => by_core(4, 3) + u64::from(count),
        Kind::BranchIf => {
            let is = Range::exactly(by_core(3, 2));
            return Some(branch(executed.taken, Range::exactly(1), is));
        }
        Kind::Branch | Kind::BranchExchange | Kind::BranchLinkExchange => by_core(3, 2),
        Kind::BranchLink => by_core(4, 3),
        Kind::Hint | Kind::ChangeState => 1,
        Kind::Status | Kind::Barrier => by_core(4, 3),
        _ => return None,
    };
    Some(Range::exactly(cycles))
}

/// Cycles of a pipeline refill on a Cortex-M3 or M4 ("P" in the manuals). They depend on the
/// alignment and width of the target instruction, and on whether the core speculated the address
/// early.
const REFILL: Range = Range { low: 1, high: 3 };

/// Returns the price on a Cortex-M3 or M4.
fn v7m(core: TimedCore, executed: &Executed<'_>) -> Option<Range> {
    let m4 = core == TimedCore::M4;
    let range = |low, high| Range { low, high };
    let by_core = |m3: Range| match core {
        TimedCore::M4 => Range::exactly(1),
        _ => m3,
    };
    let branched = Range::exactly(1) + REFILL;
    let cycles = match executed.instruction.kind {
        Kind::Data | Kind::Multiply | Kind::Hint => Range::exactly(1),
        Kind::Dsp if m4 => Range::exactly(1),
        Kind::MultiplyAccumulate => by_core(Range::exactly(2)),
        Kind::MultiplyLong => by_core(range(3, 5)),
        Kind::MultiplyAccumulateLong => by_core(range(4, 7)),
        Kind::Divide => range(2, 12),
        Kind::Load(offset) => load(offset, executed),
        Kind::Store(offset) => store(offset, executed),
        Kind::LoadPc => Range::exactly(2) + REFILL,
        Kind::LoadTwo | Kind::StoreTwo => Range::exactly(3),
        Kind::LoadMany(count) | Kind::StoreMany(count) => Range::exactly(1 + u64::from(count)),
        Kind::LoadManyPc(count) => Range::exactly(1 + u64::from(count)) + REFILL,
        Kind::Exclusive => Range::exactly(2),
        Kind::DataToPc
        | Kind::Branch
        | Kind::BranchLink
        | Kind::BranchExchange
        | Kind::BranchLinkExchange => branched,
        Kind::BranchIf | Kind::CompareBranch => branch(executed.taken, Range::exactly(1), branched),
        // 2 + P in the table, at least 6 in the section on loads.
        Kind::TableBranch => range(3, 6),
        // Folded into the instruction before it, or not.
        Kind::If(_) => range(0, 1),
        Kind::Status | Kind::ChangeState => range(1, 2),
        // 1 + B, where B is at least 0 (DMB, DSB) or a pipeline refill (ISB). Waiting is not
        // priced.
        Kind::Barrier => range(1, 4),
        Kind::Float(kind) if m4 => float(kind),
        Kind::Dsp | Kind::Float(_) => return None,
    };
    Some(Range {
        high: cycles.high + stall(executed),
        ..cycles
    })
}

/// Returns the maximum number of cycles that an access waits for its address; 0 for other
/// instructions.
///
/// An access whose address the previous instruction computed stalls the pipeline for a cycle, and
/// a load from a literal pool may contend with the fetch of instructions.
fn stall(executed: &Executed<'_>) -> u64 {
    let computed = executed.previous.is_some_and(|previous| {
        let loads = matches!(previous.kind, Kind::Load(_));
        !loads && previous.writes & executed.instruction.address != 0
    });
    let literal = executed.instruction.kind == Kind::Load(Offset::Literal);
    u64::from(computed || literal)
}

/// Returns `true` if an access overlaps with the one before: it follows a load without base update
/// that writes no register of the access's address.
fn follows_load(executed: &Executed<'_>) -> bool {
    executed.previous.is_some_and(|previous| {
        let loads = matches!(previous.kind, Kind::Load(offset) if offset != Offset::Updated);
        loads && previous.writes & executed.instruction.address == 0
    })
}

/// Returns the price of a load of a register: two cycles, or one to two if it overlaps with the
/// load before it.
fn load(offset: Offset, executed: &Executed<'_>) -> Range {
    let shorter = match offset {
        // A load with a base update takes one cycle if the next instruction reads no register.
        Offset::Updated => 1,
        _ => 2 - u64::from(follows_load(executed)),
    };
    Range {
        low: shorter,
        high: 2,
    }
}

/// Returns the price of a store of a register: one to two cycles with a constant offset, because
/// of the write buffer; with a register offset two, or one to two if it overlaps with the load
/// before it.
fn store(offset: Offset, executed: &Executed<'_>) -> Range {
    let low = match offset {
        Offset::Register => 2 - u64::from(follows_load(executed)),
        _ => 1,
    };
    Range { low, high: 2 }
}

/// Returns the price of a floating-point instruction on a Cortex-M4. Arithmetic takes a cycle
/// longer if the next instruction consumes its result.
fn float(kind: Float) -> Range {
    let (low, high) = match kind {
        Float::Move => (1, 1),
        Float::Arithmetic => (1, 2),
        Float::MultiplyAccumulate => (3, 4),
        Float::Divide => (14, 15),
        Float::MoveTwo => (2, 2),
        Float::Load(words) | Float::Store(words) => (1 + u64::from(words), 1 + u64::from(words)),
    };
    Range { low, high }
}
