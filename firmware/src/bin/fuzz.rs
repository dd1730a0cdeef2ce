//! Runs containers between guards and compares every logit with the workstation's.
//!
//! The other half is `cargo xtask fuzz device`, which mutates containers, computes what they must
//! answer and loads them as a batch into the emulator's memory at [`BATCH`]. Container, input and
//! arena each lie in a yard of their own between two guards, stretches that the MPU lets nobody
//! access, and touch one guard or the other: whatever reads or writes beyond them faults. For
//! QEMU's MPS2 boards, whose CPUs have an MPU; code for the M0 runs on the M3 there.
//!
//! A batch is made of little-endian words: a control, flags, the number of cases, then each case.
//! A case is the bytes of its container, of one input, the number of logits; the container, its
//! inputs and their logits, each padded to a word.
//!
//! Logs a line per case before it runs, so that a fault or a hang has a case to its name.
#![no_std]
#![no_main]

use core::{ptr, slice};

use cortex_m::peripheral::{MPU, Peripherals, SCB};
use cortex_m_rt::entry;
use rarefy_firmware::exit::exit;
use rarefy_format::Model;
use rarefy_runtime::Engine;

/// Where the emulator loads the batch (PSRAM), and how long it may be.
const BATCH: usize = 0x2100_0000;
const BATCH_BYTES: usize = 16 << 20;
/// Inputs of a case.
const INPUTS: usize = 3;
/// Bytes of a guard and of a yard: a power of two, as the MPU's regions are.
const SIZE: usize = 256 << 10;
/// Flag of a batch: an access of the engine that is not aligned faults, as every one does on an M0.
const TRAP_UNALIGNED: u32 = 1;

/// The memory that is guarded: a guard, then three yards with a guard behind each.
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

/// Where in its yard something lies.
#[derive(Clone, Copy, defmt::Format)]
enum Place {
    /// So many bytes behind the guard in front of the yard.
    Front(usize),
    /// As close to the guard behind the yard as its alignment allows.
    Back,
}

impl Place {
    /// Index of the first of `length` elements in a yard of `size`; `None` if they do not fit.
    fn start(self, length: usize, size: usize) -> Option<usize> {
        let start = match self {
            Place::Front(start) => start,
            Place::Back => size.checked_sub(length)?,
        };
        (start + length <= size).then_some(start)
    }
}

/// Where the three pieces of a case lie.
#[derive(Clone, Copy, defmt::Format)]
struct Placement {
    container: Place,
    input: Place,
    arena: Place,
}

/// Each piece at either guard, and inputs at every distance from a word.
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

/// How a case goes wrong.
#[derive(defmt::Format)]
enum Failure {
    /// The batch ends in the middle of it.
    CutOff,
    /// A piece is larger than its yard.
    TooLarge,
    /// Parser or engine reject what the workstation accepted.
    Rejected,
    /// There are more or fewer logits than the workstation's.
    Count(usize),
    /// The first logit that differs from the workstation's.
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
    /// The next `count` bytes; what pads them to a word is passed over.
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, _) = self.0.split_at_checked(count)?;
        self.0 = self.0.get(count.next_multiple_of(4)..)?;
        Some(bytes)
    }

    /// The next word.
    fn word(&mut self) -> Option<u32> {
        let word = self.bytes(4)?.first_chunk()?;
        Some(u32::from_le_bytes(*word))
    }
}

/// A container, its inputs and the logits of each, four bytes a logit.
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

    /// Runs the case with its pieces at `placement`; with `trap`, what is not aligned faults.
    fn run(
        &self,
        placement: Placement,
        ground: &mut Ground,
        trap: &mut Option<SCB>,
    ) -> Result<(), Failure> {
        let words = self.container.len().next_multiple_of(4);
        let start = placement.container.start(words, SIZE);
        let start = start.ok_or(Failure::TooLarge)?;
        let container = &mut ground.container[start..start + self.container.len()];
        container.copy_from_slice(self.container);
        let container = &*container;
        let model = Model::parse(container).map_err(|_| Failure::Rejected)?;
        let engine = Engine::new(model).map_err(|_| Failure::Rejected)?;
        for (round, (bytes, logits)) in self.inputs.iter().zip(self.logits).enumerate() {
            let start = placement.input.start(bytes.len(), SIZE);
            let start = start.ok_or(Failure::TooLarge)?;
            let input = &mut ground.input[start..start + bytes.len()];
            input.copy_from_slice(bytes);
            let words = model.arena_words();
            let start = placement.arena.start(words, ground.arena.len());
            let start = start.ok_or(Failure::TooLarge)?;
            let arena = &mut ground.arena[start..start + words];
            // Whatever lay in it must not matter.
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

/// Compares `found` with the workstation's logits.
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

/// Lets accesses fault that are not aligned, or not any more.
#[inline(never)]
fn set(trap: &mut Option<SCB>, on: bool) {
    const UNALIGN_TRP: u32 = 1 << 3;
    if let Some(scb) = trap {
        // SAFETY: the bit changes nothing but whether such an access faults. Code for the M0 makes
        // none; where the compiler or a kernel for another core makes one, the batch asks for the fault.
        unsafe {
            scb.ccr
                .modify(|ccr| ccr & !UNALIGN_TRP | u32::from(on) * UNALIGN_TRP)
        };
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
    }
}

/// Forbids every access to the guards of `ground`.
fn arm(mpu: &mut MPU, ground: &Ground) {
    /// No access in any mode, nothing executed, SIZE bytes, enabled.
    const NO_ACCESS: u32 = 1 << 28 | (SIZE.ilog2() - 1) << 1 | 1;
    let guards = [
        &ground.guard_0,
        &ground.guard_1,
        &ground.guard_2,
        &ground.guard_3,
    ];
    for (region, guard) in (0..).zip(guards) {
        // SAFETY: the region is the guard, which is SIZE bytes on a boundary of SIZE (the ground
        // is aligned to SIZE and each of its fields as long), and which nothing reads or writes
        // but the control that is to fault. So no access that the program makes is lost.
        unsafe {
            mpu.rnr.write(region);
            mpu.rbar.write(guard.as_ptr().addr() as u32);
            mpu.rasr.write(NO_ACCESS);
        }
    }
    // SAFETY: what is in no region stays as it was: PRIVDEFENA keeps the default map for it.
    unsafe { mpu.ctrl.write(4 | 1) };
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// Reads the byte of a guard that is next to a yard: control 1 of the guard in front of the first
/// yard, 2 of the one behind it, and so on. Proves that the guard is armed, since it never returns.
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
    // SAFETY: a byte of a static that is zeroed at start-up; where the guard is armed, the load
    // faults and the program ends.
    let byte = unsafe { byte.read_volatile() };
    defmt::error!("rarefy failed: a guard let {=u8} be read", byte);
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
        defmt::error!("rarefy failed: the peripherals are taken");
        exit(false)
    };
    // SAFETY: the boards that this program is for have BATCH_BYTES of RAM there, outside what
    // memory.x gives to the linker: no Rust object lies in it, nothing writes it after the
    // emulator has loaded it, and RAM that was not loaded reads as zeros.
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
