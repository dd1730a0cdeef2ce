//! Runs containers between guards and compares every logit with the workstation's.
//!
//! The host's part, `cargo xtask fuzz device`, mutates containers, computes their logits and loads
//! both as a batch into the emulator's memory at [`BATCH`]. Container, input and arena each lie in
//! a separate area (a yard) between two guards: MPU regions that forbid every access. Each piece
//! is placed next to either guard in turn, so an access beyond that end of the piece faults. Runs
//! on QEMU's MPS2 boards, whose CPUs have an MPU; code for the M0 runs on their M3.
//!
//! A batch consists of little-endian words: a control (0, or a number that makes the program read
//! from a guard, to prove that this faults), flags, the number of cases, then the cases.
//! A case consists of three lengths (bytes of the container, bytes of an input, logits), the
//! container, its inputs and their logits, each padded to a word.
//!
//! Logs a line before each case, so that a fault or a hang can be traced to it.
#![no_std]
#![no_main]

use core::{ptr, slice};

use cortex_m::peripheral::{MPU, Peripherals, SCB};
use cortex_m_rt::entry;
use rarefy_firmware::exit::exit;
use rarefy_format::Model;
use rarefy_runtime::Engine;

/// Address (in PSRAM) and capacity of the batch.
const BATCH: usize = 0x2100_0000;
const BATCH_BYTES: usize = 16 << 20;
/// Inputs per case.
const INPUTS: usize = 3;
/// Size of a guard and of a yard in bytes: a power of two, as MPU regions require.
const SIZE: usize = 256 << 10;
/// Flag of a batch: unaligned accesses by the engine fault, as they do on an M0.
const TRAP_UNALIGNED: u32 = 1;

/// Guarded memory: a guard, then three yards, each followed by a guard.
#[repr(C, align(262144))]
struct Ground {
    guard_0: [u8; SIZE],
    container: [u8; SIZE],
    guard_1: [u8; SIZE],
    input: [u8; SIZE],
    guard_2: [u8; SIZE],
    arena: [u32; SIZE / 4],
    guard_3: [u8; SIZE],
}

/// A position within a yard.
#[derive(Clone, Copy, defmt::Format)]
enum Place {
    /// The piece starts the given number of elements after the guard that precedes the yard.
    Front(usize),
    /// The piece ends at the guard that follows the yard.
    Back,
}

impl Place {
    /// Returns the index at which a piece of `length` elements starts in a yard of `size`
    /// elements, or `None` if the piece does not fit.
    fn start(self, length: usize, size: usize) -> Option<usize> {
        let start = match self {
            Place::Front(start) => start,
            Place::Back => size.checked_sub(length)?,
        };
        (start + length <= size).then_some(start)
    }
}

/// The positions of the three pieces of a case.
#[derive(Clone, Copy, defmt::Format)]
struct Placement {
    container: Place,
    input: Place,
    arena: Place,
}

/// Placements that put each piece next to either guard, and inputs at every offset from a word.
const PLACEMENTS: [Placement; 5] = [
    Placement {
        container: Place::Front(0),
        input: Place::Front(0),
        arena: Place::Front(0),
    },
    Placement {
        container: Place::Back,
        input: Place::Back,
        arena: Place::Back,
    },
    Placement {
        container: Place::Back,
        input: Place::Front(1),
        arena: Place::Front(0),
    },
    Placement {
        container: Place::Front(0),
        input: Place::Front(2),
        arena: Place::Back,
    },
    Placement {
        container: Place::Back,
        input: Place::Front(3),
        arena: Place::Back,
    },
];

/// How a case fails.
#[derive(defmt::Format)]
enum Failure {
    /// The batch ends within the case.
    CutOff,
    /// A piece is larger than its yard.
    TooLarge,
    /// The parser or the engine rejects what the host accepted.
    Rejected,
    /// The engine's number of logits, which differs from the host's.
    Count(usize),
    /// The first logit that differs from the host's, which is `known`.
    Logit {
        logit: usize,
        known: i32,
        found: i32,
    },
    /// The container or the input has changed.
    Overwritten,
}

/// Reads a batch from its front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Returns the next `count` bytes and skips their padding to a word.
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, _) = self.0.split_at_checked(count)?;
        self.0 = self.0.get(count.next_multiple_of(4)..)?;
        Some(bytes)
    }

    /// Returns the next word.
    fn word(&mut self) -> Option<u32> {
        let word = self.bytes(4)?.first_chunk()?;
        Some(u32::from_le_bytes(*word))
    }
}

/// A container, its inputs and the logits of each, four bytes per logit.
struct Case<'a> {
    container: &'a [u8],
    inputs: [&'a [u8]; INPUTS],
    logits: [&'a [u8]; INPUTS],
}

impl<'a> Case<'a> {
    /// Reads the next case.
    fn read(batch: &mut Reader<'a>) -> Option<Case<'a>> {
        let [container, input, logits] = [batch.word()?, batch.word()?, batch.word()?];
        let mut case = Case {
            container: batch.bytes(container as usize)?,
            inputs: [&[]; INPUTS],
            logits: [&[]; INPUTS],
        };
        for bytes in &mut case.inputs {
            *bytes = batch.bytes(input as usize)?;
        }
        for bytes in &mut case.logits {
            *bytes = batch.bytes(4 * logits as usize)?;
        }
        Some(case)
    }

    /// Runs the case with its pieces at `placement`; with `trap`, unaligned accesses fault.
    fn run(
        &self,
        placement: Placement,
        ground: &mut Ground,
        trap: &mut Option<SCB>,
    ) -> Result<(), Failure> {
        let words = self.container.len().next_multiple_of(4);
        let start = placement.container.start(words, SIZE);
        let start = start.ok_or(Failure::TooLarge)?;
        let container = put(&mut ground.container, start, self.container);
        let model = Model::parse(container).map_err(|_| Failure::Rejected)?;
        let engine = Engine::new(model).map_err(|_| Failure::Rejected)?;
        for (round, (bytes, logits)) in self.inputs.iter().zip(self.logits).enumerate() {
            let start = placement.input.start(bytes.len(), SIZE);
            let start = start.ok_or(Failure::TooLarge)?;
            let input = put(&mut ground.input, start, bytes);
            let words = model.arena_words();
            let start = placement.arena.start(words, ground.arena.len());
            let start = start.ok_or(Failure::TooLarge)?;
            let arena = &mut ground.arena[start..start + words];
            // The previous contents of the arena must not matter.
            arena.fill(0x0101_0101_u32.wrapping_mul(round as u32 * 77 + 255));
            set(trap, true);
            let found = engine.infer(input, arena);
            set(trap, false);
            let found = found.map_err(|_| Failure::Rejected)?;
            compare(logits, found)?;
            if input != *bytes || container != self.container {
                return Err(Failure::Overwritten);
            }
        }
        Ok(())
    }
}

/// Copies `bytes` into a yard at `start` and surrounds them with bytes that would change the
/// logits if they were read.
fn put<'y>(yard: &'y mut [u8; SIZE], start: usize, bytes: &[u8]) -> &'y [u8] {
    const AROUND: usize = 32;
    let end = start + bytes.len();
    yard[start.saturating_sub(AROUND)..start].fill(0xFF);
    yard[end..SIZE.min(end + AROUND)].fill(0xFF);
    yard[start..end].copy_from_slice(bytes);
    &yard[start..end]
}

/// Compares `found` with the host's logits, `known`.
fn compare(known: &[u8], found: &[i32]) -> Result<(), Failure> {
    let (known, _) = known.as_chunks::<4>();
    if known.len() != found.len() {
        return Err(Failure::Count(found.len()));
    }
    for (logit, (&known, &found)) in known.iter().zip(found).enumerate() {
        let known = i32::from_le_bytes(known);
        if known != found {
            return Err(Failure::Logit {
                logit,
                known,
                found,
            });
        }
    }
    Ok(())
}

/// Enables or disables faults on unaligned accesses, if the batch asks for them.
#[inline(never)]
fn set(trap: &mut Option<SCB>, on: bool) {
    const UNALIGN_TRP: u32 = 1 << 3;
    if let Some(scb) = trap {
        // SAFETY: the bit changes nothing but whether an unaligned access faults. Code for the M0
        // makes none; if code for another core makes one, the fault that the batch asks for ends
        // the program.
        unsafe {
            scb.ccr
                .modify(|ccr| (ccr & !UNALIGN_TRP) | (u32::from(on) * UNALIGN_TRP))
        };
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
    }
}

/// Forbids every access to the guards of `ground`.
fn arm(mpu: &mut MPU, ground: &Ground) {
    /// Attributes of a guard: no access in any mode, execute never, SIZE bytes, enabled.
    const NO_ACCESS: u32 = (1 << 28) | ((SIZE.ilog2() - 1) << 1) | 1;
    let guards = [
        &ground.guard_0,
        &ground.guard_1,
        &ground.guard_2,
        &ground.guard_3,
    ];
    for (region, guard) in (0..).zip(guards) {
        // SAFETY: the region is exactly the guard: `Ground` is aligned to SIZE and each of its
        // fields has SIZE bytes. Only the control, which is to fault, ever accesses a guard, so no
        // other access of the program is affected.
        unsafe {
            mpu.rnr.write(region);
            mpu.rbar.write(guard.as_ptr().addr() as u32);
            mpu.rasr.write(NO_ACCESS);
        }
    }
    // SAFETY: PRIVDEFENA keeps the default memory map outside the regions.
    unsafe { mpu.ctrl.write(4 | 1) };
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// Reads the byte of a guard that is next to a yard: control 1 reads the byte before the first
/// yard, 2 the one after it, and so on. The read must fault, which proves that the guard is armed.
fn step_on_guard(control: u32, ground: &Ground) -> ! {
    let byte: *const u8 = match control {
        1 => &raw const ground.guard_0[SIZE - 1],
        2 => &raw const ground.guard_1[0],
        3 => &raw const ground.guard_1[SIZE - 1],
        4 => &raw const ground.guard_2[0],
        5 => &raw const ground.guard_2[SIZE - 1],
        6 => &raw const ground.guard_3[0],
        _ => {
            defmt::error!("rarefy failed: there is no control {=u32}", control);
            exit(false)
        }
    };
    // SAFETY: the pointer is to a byte of a static that is initialised at startup. If the guard is
    // armed, the load faults and the program ends.
    let byte = unsafe { byte.read_volatile() };
    defmt::error!(
        "rarefy failed: read {=u8} from a guard that is not armed",
        byte
    );
    exit(false)
}

#[entry]
fn main() -> ! {
    static mut GROUND: Ground = Ground {
        guard_0: [0; SIZE],
        container: [0; SIZE],
        guard_1: [0; SIZE],
        input: [0; SIZE],
        guard_2: [0; SIZE],
        arena: [0; SIZE / 4],
        guard_3: [0; SIZE],
    };

    let Some(mut peripherals) = Peripherals::take() else {
        defmt::error!("rarefy failed: the core's peripherals are already taken");
        exit(false)
    };
    // SAFETY: the MPS2 boards have BATCH_BYTES of RAM at this address, outside the regions of
    // memory.x, so no Rust object lies there. Nothing writes it after the emulator has loaded it,
    // and RAM that was not loaded reads as zeros.
    let batch = unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(BATCH), BATCH_BYTES) };
    let mut batch = Reader(batch);
    let (Some(control), Some(flags), Some(count)) = (batch.word(), batch.word(), batch.word())
    else {
        defmt::error!("rarefy failed: there is no batch");
        exit(false)
    };
    arm(&mut peripherals.MPU, GROUND);
    if control != 0 {
        step_on_guard(control, GROUND);
    }
    let mut trap = (flags & TRAP_UNALIGNED != 0).then_some(peripherals.SCB);
    for index in 0..count {
        defmt::info!("rarefy case={=u32}", index);
        let Some(case) = Case::read(&mut batch) else {
            defmt::error!("rarefy failed: {}", Failure::CutOff);
            exit(false)
        };
        for placement in PLACEMENTS {
            if let Err(failure) = case.run(placement, GROUND, &mut trap) {
                defmt::error!("rarefy failed: {} with {}", failure, placement);
                exit(false)
            }
        }
    }
    defmt::info!("rarefy done");
    exit(true)
}
