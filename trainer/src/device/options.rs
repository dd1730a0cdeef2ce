//! Options of a measurement.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::image::Builder;
use super::machine::Machine;
use super::process::Limits;

/// Options of a measurement.
#[derive(Clone, Debug)]
pub struct MeasureOptions<'a> {
    /// Whether to measure the network's dense twin as well.
    pub dense: bool,
    /// Whether to estimate cycles, where QEMU emulates a core with a published table of them.
    pub cycles: bool,
    /// Whether to profile the network by layer and by function; needs `cycles`.
    pub profile: bool,
    /// Time limit of one run on the board.
    pub timeout: Duration,
    /// Flag that is set to stop the measurement.
    pub stop: Option<&'a AtomicBool>,
    /// Location of the tools.
    pub machine: Machine,
    /// Folder for build outputs; `None` selects one inside the firmware workspace.
    pub target_folder: Option<PathBuf>,
}

impl Default for MeasureOptions<'_> {
    /// Measures the dense twin as well, estimates no cycles, allows five minutes per run, and finds
    /// tools on the `PATH`.
    fn default() -> Self {
        Self {
            dense: true,
            cycles: false,
            profile: false,
            timeout: Duration::from_secs(300),
            stop: None,
            machine: Machine::default(),
            target_folder: None,
        }
    }
}

impl MeasureOptions<'_> {
    /// Returns these options for the network alone: without its dense twin, estimates and profile.
    pub(super) fn network_only(&self) -> Self {
        Self {
            dense: false,
            cycles: false,
            profile: false,
            ..self.clone()
        }
    }

    /// Returns the builder of programs that these options describe. Building has no time limit.
    pub(super) fn builder(&self) -> Builder<'_> {
        Builder {
            machine: &self.machine,
            target_folder: self.target_folder.as_deref(),
            limits: Limits {
                timeout: None,
                stop: self.stop,
            },
        }
    }

    /// Returns the limits of one run on the board.
    pub(super) fn run_limits(&self) -> Limits<'_> {
        Limits {
            timeout: Some(self.timeout),
            stop: self.stop,
        }
    }
}
