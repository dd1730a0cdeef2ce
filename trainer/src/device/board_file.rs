//! The file `board.toml`, which describes a board.

use serde::Deserialize;

use super::cores::{self, Fault};

/// The unit that a board's timer counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Counter {
    /// Executed instructions: exact and reproducible; emulated boards only.
    Instructions,
    /// Clock cycles of real hardware.
    Cycles,
}

/// Contents of `board.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    pub(super) description: String,
    pub(super) core: String,
    pub(super) target: String,
    pub(super) emulated: Option<String>,
    pub(super) probe: Option<String>,
    pub(super) clock_hz: Option<u64>,
    pub(super) counter: Counter,
    pub(super) multiplier_cycles: Option<u64>,
    pub(super) flash_wait_states: Option<u64>,
}

/// Parses and checks the contents of a `board.toml`.
///
/// # Errors
///
/// Returns the first problem, with its line if it has one.
pub(super) fn parse(text: &str) -> Result<Description, String> {
    let description: Description = toml::from_str(text).map_err(|error| {
        let why = error.message().replace('\n', " ");
        let start = error.span().map(|span| span.start);
        match start.and_then(|start| text.get(..start)) {
            Some(before) => format!("line {}: {why}", before.matches('\n').count() + 1),
            None => why,
        }
    })?;
    description.check().map_err(|Fault { key, why }| {
        let is_key = |line: &str| line.split('=').next().is_some_and(|it| it.trim() == key);
        match text.lines().position(is_key) {
            Some(index) => format!("line {}: {why}", index + 1),
            None => why,
        }
    })?;
    Ok(description)
}

impl Description {
    /// Checks the values and how they go together.
    ///
    /// # Errors
    /// Returns the first problem, and the key that it concerns.
    fn check(&self) -> Result<(), Fault> {
        let fault = |key, why: &str| {
            Err(Fault {
                key,
                why: why.to_owned(),
            })
        };
        if self.emulated.is_some() == self.probe.is_some() {
            return fault("probe", "set either `emulated` or `probe`");
        }
        cores::check(&self.target, &self.core)?;
        // Ticks of a slower timer are too coarse to resolve single instructions.
        if let Some(clock) = self.clock_hz
            && !(2_000_000..=1_000_000_000).contains(&clock)
        {
            let why =
                format!("clock_hz is {clock}; set it to a frequency in Hz from 2 MHz to 1 GHz");
            return fault("clock_hz", &why);
        }
        // The counters of RISC-V need no frequency; SysTick does.
        if self.clock_hz.is_none() && !self.target.starts_with("riscv") {
            return fault("clock_hz", "add clock_hz, the clock of the core in Hz");
        }
        match (self.counter, self.emulated.is_some()) {
            (Counter::Instructions, true) | (Counter::Cycles, false) => {}
            (Counter::Instructions, false) => {
                let why =
                    "only an emulated board can count instructions; set counter to \"cycles\"";
                return fault("counter", why);
            }
            (Counter::Cycles, true) => {
                let why =
                    "an emulated board has no cycles to count; set counter to \"instructions\"";
                return fault("counter", why);
            }
        }
        if !matches!(self.multiplier_cycles, None | Some(1 | 32)) {
            return fault("multiplier_cycles", "set multiplier_cycles to 1 or 32");
        }
        if self.flash_wait_states.is_some_and(|cycles| cycles > 100) {
            let why = "set flash_wait_states to a number of cycles up to 100";
            return fault("flash_wait_states", why);
        }
        Ok(())
    }
}
