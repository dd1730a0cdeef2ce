//! The cores that a board can name, and the targets whose programs they run.

use crate::names;

/// Cores of each target of the firmware, as `board.toml` spells them.
///
/// An F at the end stands for a floating-point unit, without which a core runs no program whose
/// target ends in "hf". ARMv8-M includes the instructions of ARMv6-M and, with the Main Extension,
/// those of ARMv7-M.
const TARGETS: [(&str, &[&str]); 9] = [
    (
        "thumbv6m-none-eabi",
        &["Cortex-M0", "Cortex-M0+", "Cortex-M1", "Cortex-M23"],
    ),
    (
        "thumbv7m-none-eabi",
        &[
            "Cortex-M3",
            "Cortex-M4",
            "Cortex-M4F",
            "Cortex-M7",
            "Cortex-M7F",
            "Cortex-M33",
        ],
    ),
    (
        "thumbv7em-none-eabi",
        &["Cortex-M4", "Cortex-M4F", "Cortex-M7", "Cortex-M7F"],
    ),
    ("thumbv7em-none-eabihf", &["Cortex-M4F", "Cortex-M7F"]),
    ("thumbv8m.base-none-eabi", &["Cortex-M23", "Cortex-M33"]),
    ("thumbv8m.main-none-eabi", MAINLINE),
    ("thumbv8m.main-none-eabihf", MAINLINE),
    (
        "riscv32imc-unknown-none-elf",
        &["RV32IMC", "RV32IMAC", "RV32IMAFC"],
    ),
    ("riscv32imac-unknown-none-elf", &["RV32IMAC", "RV32IMAFC"]),
];

/// Cores of ARMv8-M with the Main Extension.
const MAINLINE: &[&str] = &[
    "Cortex-M33",
    "Cortex-M35P",
    "Cortex-M52",
    "Cortex-M55",
    "Cortex-M85",
];

/// Checks that the firmware can be built for `target`, and that `core` runs its programs.
///
/// # Errors
///
/// Returns what is wrong, with the possible names.
pub(super) fn check(target: &str, core: &str) -> Result<(), Fault> {
    let Some((_, cores)) = TARGETS.iter().find(|(name, _)| *name == target) else {
        let known = TARGETS.iter().map(|(name, _)| *name);
        let all: Vec<&str> = known.clone().collect();
        let all = format!("the targets are {}", all.join(", "));
        return Err(Fault {
            key: "target",
            why: names::unknown("target", target, known, &all),
        });
    };
    if cores.contains(&core) {
        return Ok(());
    }
    let cores = cores.join(", ");
    let exists = TARGETS.iter().any(|(_, cores)| cores.contains(&core));
    Err(Fault {
        key: "core",
        why: match exists {
            true => format!("a {core} does not run programs for {target}, whose cores are {cores}"),
            false => format!("there is no core {core:?}: the cores of {target} are {cores}"),
        },
    })
}

/// What is wrong with a key of `board.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The key.
    pub(super) key: &'static str,
    /// The problem.
    pub(super) why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_targets_that_do_not_match_are_refused_with_the_list() {
        for (target, core, key, words) in [
            (
                "thumbv7em-none-eabihf",
                "Cortex-M0",
                "core",
                "a Cortex-M0 does not run programs for thumbv7em-none-eabihf, whose cores are Cortex-M4F, Cortex-M7F",
            ),
            (
                "thumbv7em-none-eabihf",
                "Cortex-M4",
                "core",
                "whose cores are Cortex-M4F",
            ),
            (
                "thumbv6m-none-eabi",
                "cortex-m0",
                "core",
                "there is no core \"cortex-m0\": the cores of thumbv6m-none-eabi are Cortex-M0, Cortex-M0+",
            ),
            ("riscv32imac-unknown-none-elf", "RV32I", "core", "RV32IMAC"),
            (
                "thumbv7em-none-eabhif",
                "Cortex-M4F",
                "target",
                "did you mean thumbv7em-none-eabihf?",
            ),
        ] {
            let fault = check(target, core).unwrap_err();
            assert_eq!(fault.key, key);
            assert!(fault.why.contains(words), "{}", fault.why);
        }
        for (target, core) in [
            ("thumbv6m-none-eabi", "Cortex-M0+"),
            ("thumbv7em-none-eabihf", "Cortex-M4F"),
            ("thumbv8m.main-none-eabihf", "Cortex-M55"),
        ] {
            assert_eq!(check(target, core), Ok(()));
        }
    }
}
