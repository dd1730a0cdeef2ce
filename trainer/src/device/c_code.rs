//! Flash size of a network emitted as C.
//!
//! GCC compiles a function that classifies an input; its object file has the code and the constants
//! of the network and nothing else. Nothing is linked or run.

use super::boards::Board;
use super::elf::Elf;
use super::options::MeasureOptions;
use super::process::{self, End, Flow, Limits};
use crate::atomic::{self, FileError};

/// Name of the compiler.
const COMPILER: &str = "arm-none-eabi-gcc";

/// Why the flash size of emitted C could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum CFlashError {
    /// The compiler is not installed.
    #[error(
        "{COMPILER} is not on the PATH; install it from your system's packages (on Debian gcc-arm-none-eabi)"
    )]
    NoCompiler,
    /// The compiler does not support the board's target.
    #[error("{COMPILER} does not compile for {0}; compile the code with that target's compiler")]
    Target(String),
    /// The compiler failed.
    #[error("{COMPILER} cannot compile the code: {0}")]
    Failed(String),
    /// Stopped while compiling.
    #[error("stopped while compiling the code")]
    Stopped,
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Returns the options of GCC for a target of Rust.
fn options_for(target: &str) -> Option<&'static [&'static str]> {
    Some(match target {
        "thumbv6m-none-eabi" => &["-mcpu=cortex-m0"],
        "thumbv7m-none-eabi" => &["-mcpu=cortex-m3"],
        "thumbv7em-none-eabi" => &["-mcpu=cortex-m4"],
        "thumbv7em-none-eabihf" => &["-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
        "thumbv8m.base-none-eabi" => &["-mcpu=cortex-m23"],
        "thumbv8m.main-none-eabi" => &["-mcpu=cortex-m33+nodsp"],
        "thumbv8m.main-none-eabihf" => &["-mcpu=cortex-m33", "-mfloat-abi=hard"],
        _ => return None,
    })
}

/// Returns the bytes of flash on `board` of a network that was emitted as the C header `source`,
/// with names that begin with `prefix`. It is compiled with `-O2`.
///
/// # Errors
///
/// Returns an error if the compiler is missing, does not support the board, or fails.
pub fn c_flash(
    board: &Board,
    source: &str,
    prefix: &str,
    options: &MeasureOptions<'_>,
) -> Result<u64, CFlashError> {
    let target =
        options_for(&board.target).ok_or_else(|| CFlashError::Target(board.target.clone()))?;
    let machine = &options.machine;
    let compiler = machine.find(COMPILER).ok_or(CFlashError::NoCompiler)?;
    let folder = tempfile::tempdir()
        .map_err(|e| FileError::new("create a folder in", &std::env::temp_dir(), e))?;
    let at = |name: &str| folder.path().join(name);
    // The class of a single output is known without computing it.
    let is_single = source.contains(&format!("#define {}_OUTPUTS 1\n", prefix.to_uppercase()));
    let function = match is_single {
        true => {
            format!("void run(const uint8_t *x, int32_t *y) {{\n    {prefix}_infer(x, y);\n}}\n")
        }
        false => format!("int run(const uint8_t *x) {{\n    return {prefix}_classify(x);\n}}\n"),
    };
    atomic::write(&at("network.c"), (source.to_owned() + &function).as_bytes())?;
    let mut command = machine.command(&compiler);
    command
        .current_dir(folder.path())
        .args([
            "-std=c99",
            "-O2",
            "-ffreestanding",
            "-mthumb",
            "-c",
            "network.c",
        ])
        .args(target);
    let mut output = Vec::new();
    let limits = Limits {
        timeout: None,
        stop: options.stop,
    };
    let end = process::run(command, limits, |chunk| {
        output.extend_from_slice(chunk.bytes());
        Flow::Continue
    });
    let end = end.map_err(|e| FileError::new("start", &compiler, e))?;
    let output = String::from_utf8_lossy(&output);
    let error = output.lines().find(|line| line.contains("error"));
    let failed = || CFlashError::Failed(error.unwrap_or("it says nothing").trim().to_owned());
    match end {
        End::Exit(status) if status.success() => {}
        End::Stopped => return Err(CFlashError::Stopped),
        End::Exit(_) | End::Enough | End::TimedOut => return Err(failed()),
    }
    let object = atomic::read(&at("network.o"))?;
    let elf = Elf::parse(&object).map_err(|e| CFlashError::Failed(e.to_string()))?;
    let sections = elf.sections.iter().filter(|section| section.stored);
    Ok(sections.map(|section| section.size).sum())
}

#[cfg(test)]
mod tests {
    use super::super::boards::Boards;
    use super::super::firmware::firmware_folder;
    use super::super::machine::Machine;
    use super::*;

    /// Returns a header in the manner of emitted ones, whose network is `code`.
    fn header(code: &str) -> String {
        format!(
            "#include <stdint.h>\nstatic inline int net_classify(const uint8_t *x) {{ {code} }}\n"
        )
    }

    /// Returns the flash of a network on the board of this name.
    fn flash(board: &str, code: &str) -> Result<u64, CFlashError> {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        let board = boards.get(board).unwrap();
        c_flash(board, &header(code), "net", &MeasureOptions::default())
    }

    #[test]
    fn the_flash_is_that_of_code_and_constants() {
        if Machine::default().find(COMPILER).is_none() {
            eprintln!("SKIPPED: {COMPILER} is not on the PATH");
            return;
        }
        // movs r0, #7; bx lr
        assert_eq!(flash("mps2-an386", "(void)x; return 7;").unwrap(), 4);
        assert_eq!(flash("microbit", "(void)x; return 7;").unwrap(), 4);
        let table = "static const uint8_t table[256] = {1, 2, 3}; return table[x[0]];";
        let found = flash("mps2-an386", table).unwrap();
        assert!((256 + 8..256 + 16).contains(&found), "{found}");
        let error = flash("mps2-an386", "return y;").unwrap_err().to_string();
        assert!(error.contains("'y' undeclared"), "{error}");
    }

    #[test]
    fn boards_and_machines_without_the_compiler_are_rejected() {
        let error = flash("qemu-virt-rv32", "return 0;").unwrap_err();
        assert!(matches!(error, CFlashError::Target(_)), "{error}");
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        let options = MeasureOptions {
            machine: Machine {
                path: "nowhere".into(),
                ..Machine::default()
            },
            ..MeasureOptions::default()
        };
        let board = boards.get("microbit").unwrap();
        let error = c_flash(board, "", "net", &options).unwrap_err();
        assert!(matches!(error, CFlashError::NoCompiler), "{error}");
    }
}
