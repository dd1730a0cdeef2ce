//! What the price of an instruction depends on.

/// A set of core registers: bit N stands for register N.
pub(crate) type Registers = u16;

/// An instruction, reduced to what its price depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) kind: Kind,
    /// Length in bytes: 2 or 4.
    pub(crate) size: u32,
    /// Core registers that it writes.
    pub(crate) writes: Registers,
    /// Core registers that form the address of a load or store.
    pub(crate) address: Registers,
}

/// Kind of an instruction: a line of a manual's table of cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Moves, additions, logic, shifts, comparisons, extensions, bit fields, saturation.
    Data,
    /// An instruction of the DSP extension, multiplications of halfwords included.
    Dsp,
    /// Data processing that writes the program counter.
    DataToPc,
    /// `MUL`.
    Multiply,
    /// `MLA`, `MLS`.
    MultiplyAccumulate,
    /// `SMULL`, `UMULL`.
    MultiplyLong,
    /// `SMLAL`, `UMLAL`.
    MultiplyAccumulateLong,
    /// `SDIV`, `UDIV`.
    Divide,
    /// A load of a register.
    Load(Offset),
    /// A store of a register.
    Store(Offset),
    /// A load of the program counter.
    LoadPc,
    /// `LDRD`.
    LoadTwo,
    /// `STRD`.
    StoreTwo,
    /// `LDM`, `POP` of this many registers.
    LoadMany(u32),
    /// `LDM`, `POP` of this many registers, one of which is the program counter.
    LoadManyPc(u32),
    /// `STM`, `PUSH` of this many registers.
    StoreMany(u32),
    /// `LDREX`, `STREX` and their variants.
    Exclusive,
    /// `B` without a condition.
    Branch,
    /// `B` with a condition.
    BranchIf,
    /// `BL`.
    BranchLink,
    /// `BX`.
    BranchExchange,
    /// `BLX` to a register.
    BranchLinkExchange,
    /// `CBZ`, `CBNZ`.
    CompareBranch,
    /// `TBB`, `TBH`.
    TableBranch,
    /// `IT`, which makes this many instructions conditional.
    If(u32),
    /// `NOP`, `YIELD`, `SEV`.
    Hint,
    /// `DMB`, `DSB`, `ISB`.
    Barrier,
    /// `MRS`, `MSR`.
    Status,
    /// `CPS`.
    ChangeState,
    /// An instruction of the floating-point unit.
    Float(Float),
}

/// How the address of a load or store is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offset {
    /// A register and a constant.
    Immediate,
    /// Two registers.
    Register,
    /// The program counter and a constant.
    Literal,
    /// A register and a constant; the register is updated.
    Updated,
}

/// Kind of a floating-point instruction in single precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    /// Moves, comparisons, changes of sign: nothing waits for their results.
    Move,
    /// Additions, multiplications, conversions.
    Arithmetic,
    /// `VMLA`, `VFMA` and their variants.
    MultiplyAccumulate,
    /// `VDIV`, `VSQRT`.
    Divide,
    /// `VMOV` of two registers.
    MoveTwo,
    /// `VLDR`, `VLDM`, `VPOP` of this many words.
    Load(u32),
    /// `VSTR`, `VSTM`, `VPUSH` of this many words.
    Store(u32),
}

impl Instruction {
    /// Creates an instruction of `size` bytes that writes `writes`.
    pub(super) fn new(kind: Kind, size: u32, writes: Registers) -> Self {
        Self {
            kind,
            size,
            writes,
            address: 0,
        }
    }

    /// Returns the instruction with the registers of its address.
    pub(super) fn at(self, address: Registers) -> Self {
        Self { address, ..self }
    }

    /// Returns `true` if the next instruction in memory need not be the next one executed.
    pub(crate) fn branches(&self) -> bool {
        matches!(
            self.kind,
            Kind::DataToPc
                | Kind::LoadPc
                | Kind::LoadManyPc(_)
                | Kind::Branch
                | Kind::BranchIf
                | Kind::BranchLink
                | Kind::BranchExchange
                | Kind::BranchLinkExchange
                | Kind::CompareBranch
                | Kind::TableBranch
        )
    }
}

/// Returns the set of register `number`, without the program counter.
pub(super) fn register(number: u16) -> Registers {
    match number & 15 {
        15 => 0,
        number => 1 << number,
    }
}
