//! The interface of QEMU's plug-ins: `include/qemu/qemu-plugin.h` of QEMU 7.2,
//! `include/plugins/qemu-plugin.h` of current versions.
//!
//! Only functions that are the same in all versions of the interface are used, from version 1
//! (QEMU 6.0 to 8.2) to the current one. QEMU compares the version that a plug-in declares with
//! those that it supports, and its versions from 9.0 on reject version 1; so the version is
//! chosen when the plug-in is loaded ([`DECLARE`]).

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::BufWriter;
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::counts::{Counts, Marks};

/// QEMU's description of a block, valid during the callback that receives it.
#[repr(C)]
struct Block([u8; 0]);
/// QEMU's description of an instruction, valid as long as that of its block.
#[repr(C)]
struct Instruction([u8; 0]);

type BlockCallback = extern "C" fn(u64, *mut Block);
type ExecuteCallback = extern "C" fn(c_uint, *mut c_void);
type MemoryCallback = extern "C" fn(c_uint, u32, u64, *mut c_void);

/// `QEMU_PLUGIN_CB_NO_REGS`: a callback does not access registers.
const NO_REGISTERS: c_int = 0;
/// `QEMU_PLUGIN_MEM_RW`: a callback is called for reads and writes. QEMU 7.2 confuses the two if
/// only one is selected; nothing writes to the records, so all accesses to them are reads.
const ACCESSES: c_int = 3;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: BlockCallback);
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut Block,
        callback: ExecuteCallback,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_mem_cb(
        instruction: *mut Instruction,
        callback: MemoryCallback,
        flags: c_int,
        access: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_vaddr(block: *const Block) -> u64;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
}

#[cfg(unix)]
unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// The version of the interface that this plug-in declares, an `int` that QEMU reads after
/// loading it.
#[unsafe(no_mangle)]
static qemu_plugin_version: AtomicI32 = AtomicI32::new(2);

/// Calls [`declare`] when the plug-in is loaded, before QEMU reads the version.
#[cfg(unix)]
#[used]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".init_array"))]
static DECLARE: extern "C" fn() = declare;

/// Declares version 1 to a QEMU before 9.0, which supports no later one. Version 2 removed
/// `qemu_plugin_n_vcpus`, and changed nothing that is used here.
#[cfg(unix)]
extern "C" fn declare() {
    // `RTLD_DEFAULT`, which searches the program and all libraries, is a null pointer on Linux.
    let everywhere: isize = if cfg!(target_os = "macos") { -2 } else { 0 };
    // SAFETY: the handle is `RTLD_DEFAULT`, the name ends with a zero, and `dlsym` only searches.
    let found = unsafe { dlsym(everywhere as *mut c_void, c"qemu_plugin_n_vcpus".as_ptr()) };
    if !found.is_null() {
        qemu_plugin_version.store(1, Ordering::Relaxed);
    }
}

/// The counts; `None` until the plug-in is installed.
static COUNTS: Mutex<Option<Counts<BufWriter<File>>>> = Mutex::new(None);

fn counts() -> MutexGuard<'static, Option<Counts<BufWriter<File>>>> {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the plug-in: reads its arguments, creates the file and registers callbacks. Returns a
/// value other than 0 after printing why it cannot.
///
/// # Safety
///
/// `arguments` must point to `count` strings that end with a zero, as QEMU guarantees.
#[unsafe(no_mangle)]
unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let (mut marks, mut out) = (Marks::default(), String::new());
    for index in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the caller passes `count` pointers to strings that end with a zero.
        let argument = unsafe { CStr::from_ptr(*arguments.add(index)) };
        let Some((name, value)) = argument.to_str().ok().and_then(|text| text.split_once('='))
        else {
            return reject("an argument is not a name and a value");
        };
        let field = match name {
            "start" => &mut marks.start,
            "stop" => &mut marks.stop,
            "log" => &mut marks.log,
            "records" => &mut marks.records,
            "layers" => &mut marks.layers,
            "out" => {
                out = value.to_owned();
                continue;
            }
            _ => return reject("an argument is unknown"),
        };
        match value.parse() {
            Ok(number) => *field = number,
            Err(_) => return reject("an argument is not a number"),
        }
    }
    match File::create(&out) {
        Ok(file) => *counts() = Some(Counts::new(marks, BufWriter::new(file))),
        Err(error) => return reject(&format!("cannot create {out}: {error}")),
    }
    // SAFETY: `id` is the plug-in's own, and the callback has the type that the interface states.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    0
}

/// Prints why the plug-in cannot be installed and returns the value that says so.
fn reject(why: &str) -> c_int {
    eprintln!("rarefy-plugin: {why}");
    1
}

/// Registers callbacks for a block that QEMU has translated.
extern "C" fn translated(_id: u64, block: *mut Block) {
    let mut counts = counts();
    let Some(counts) = counts.as_mut() else {
        return;
    };
    // SAFETY: QEMU passes a block that is valid during this callback.
    let (address, instructions) =
        unsafe { (qemu_plugin_tb_vaddr(block), qemu_plugin_tb_n_insns(block)) };
    let id = counts.add(address, instructions);
    // The callback's data is a number, which is never used as a pointer.
    let data = id as *mut c_void;
    // SAFETY: the block is valid, and the callback has the type that the interface states.
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(block, executed, NO_REGISTERS, data) };
    if counts.wants_reads() {
        for index in 0..instructions {
            // SAFETY: the block is valid and has more than `index` instructions; its instruction
            // is valid as long as it is.
            unsafe {
                let instruction = qemu_plugin_tb_get_insn(block, index);
                qemu_plugin_register_vcpu_mem_cb(
                    instruction,
                    accessed,
                    NO_REGISTERS,
                    ACCESSES,
                    data,
                );
            }
        }
    }
}

/// Counts a block that is about to be executed.
extern "C" fn executed(_processor: c_uint, data: *mut c_void) {
    if let Some(counts) = counts().as_mut()
        && let Err(error) = counts.execute(data.addr())
    {
        eprintln!("rarefy-plugin: error: cannot write the counts: {error}");
        process::exit(1);
    }
}

/// Notes an access to memory.
extern "C" fn accessed(_processor: c_uint, _access: u32, address: u64, _data: *mut c_void) {
    if let Some(counts) = counts().as_mut() {
        counts.read(address);
    }
}
