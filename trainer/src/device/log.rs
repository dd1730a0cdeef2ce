//! The log protocol of the firmware's programs.
//!
//! `measure` logs a line `start`, a line per sample in order from 0, and a line `done`. Lines of
//! the protocol begin with `rarefy `; other lines are ignored.

/// The line before the first sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Number of samples.
    pub(crate) samples: usize,
    /// Logits per sample.
    pub(crate) outputs: usize,
    /// Overhead of measuring, in ticks.
    pub(crate) overhead: u64,
    /// Ticks that parsing the model takes, once at startup.
    pub(crate) load: u64,
    /// Peak stack use of parsing, in bytes.
    pub(crate) stack: u64,
    /// Stack use of the program around an inference, in bytes.
    pub(crate) base: u64,
}

/// The line of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inference {
    /// Ticks, including the overhead.
    pub(crate) ticks: u64,
    /// Peak stack use in bytes.
    pub(crate) stack: u64,
    /// The network's outputs.
    pub(crate) logits: Vec<i32>,
}

/// A complete log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recording {
    pub(crate) start: Start,
    pub(crate) inferences: Vec<Inference>,
}

/// Prefix of all lines of the protocol.
const PREFIX: &str = "rarefy ";

/// Returns the reason for a failure if `line` is what a program logs when it fails.
pub(crate) fn failure(line: &str) -> Option<&str> {
    line.strip_prefix(PREFIX)?.strip_prefix("failed: ")
}

/// Returns `true` if `line` is the last line of a program that succeeded.
pub(crate) fn is_last(line: &str) -> bool {
    line.strip_prefix(PREFIX) == Some("done")
}

impl Recording {
    /// Parses a complete log.
    ///
    /// # Errors
    ///
    /// Returns the first problem: a missing, invalid or unexpected line.
    pub(crate) fn read<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<Self, String> {
        let mut lines = lines
            .into_iter()
            .filter_map(|line| line.strip_prefix(PREFIX));
        let first = lines.next().ok_or("it has no line of the program")?;
        let start =
            start(first).ok_or_else(|| format!("it begins with `{first}`, not with `start`"))?;
        let mut inferences = Vec::with_capacity(start.samples.min(1 << 16));
        for line in lines {
            if line == "done" {
                if inferences.len() != start.samples {
                    return Err(format!(
                        "it has {} of {} samples",
                        inferences.len(),
                        start.samples
                    ));
                }
                return Ok(Self { start, inferences });
            }
            let (index, inference) =
                inference(line).ok_or_else(|| format!("the line `{line}` is malformed"))?;
            if index != inferences.len() || inference.logits.len() != start.outputs {
                return Err(format!("the line `{line}` is unexpected"));
            }
            inferences.push(inference);
        }
        Err(format!(
            "it ends after {} of {} samples",
            inferences.len(),
            start.samples
        ))
    }
}

/// Parses the line `start`.
fn start(line: &str) -> Option<Start> {
    let mut words = line.strip_prefix("start ")?.split(' ');
    Some(Start {
        samples: value(words.next(), "samples")?,
        outputs: value(words.next(), "outputs")?,
        overhead: value(words.next(), "overhead")?,
        load: value(words.next(), "load")?,
        stack: value(words.next(), "stack")?,
        base: value(words.next(), "base")?,
    })
}

/// Parses the line of a sample into the sample's index and its inference.
fn inference(line: &str) -> Option<(usize, Inference)> {
    let (head, logits) = line.split_once(" logits=[")?;
    let mut words = head.split(' ');
    let index = value(words.next(), "sample")?;
    let ticks = value(words.next(), "ticks")?;
    let stack = value(words.next(), "stack")?;
    let logits = logits
        .strip_suffix(']')?
        .split(", ")
        .map(|logit| logit.parse().ok());
    Some((
        index,
        Inference {
            ticks,
            stack,
            logits: logits.collect::<Option<_>>()?,
        },
    ))
}

/// Parses the number of `key=number`.
fn value<T: std::str::FromStr>(word: Option<&str>, key: &str) -> Option<T> {
    let (found, value) = word?.split_once('=')?;
    (found == key).then(|| value.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "rarefy start samples=2 outputs=2 overhead=10 load=900 stack=120 base=40";

    #[test]
    fn a_complete_log_is_parsed_and_other_lines_are_ignored() {
        let log = [
            "booting",
            START,
            "rarefy sample=0 ticks=300 stack=96 logits=[-5, 7]",
            "rarefy sample=1 ticks=310 stack=96 logits=[2147483647, -2147483648]",
            "rarefy done",
        ];
        let recording = Recording::read(log).unwrap();
        assert_eq!(recording.start.load, 900);
        assert_eq!(recording.inferences[0].logits, [-5, 7]);
        assert_eq!(recording.inferences[1].logits, [i32::MAX, i32::MIN]);
        assert!(is_last(log[4]) && !is_last(log[3]));
        assert_eq!(
            failure("rarefy failed: hard fault at 0x12"),
            Some("hard fault at 0x12")
        );
    }

    #[test]
    fn truncated_reordered_and_malformed_logs_are_rejected() {
        let sample = "rarefy sample=0 ticks=300 stack=96 logits=[-5, 7]";
        for log in [
            vec![],
            vec!["noise"],
            vec![sample],
            vec![START],
            vec![START, sample],
            vec![START, sample, "rarefy done"],
            vec![START, sample, sample, "rarefy done"],
            vec![START, "rarefy sample=0 ticks=300 stack=96 logits=[-5]"],
            vec![START, "rarefy sample=0 ticks=x stack=96 logits=[-5, 7]"],
            vec![
                START,
                "rarefy sample=0 ticks=1 stack=96 logits=[-5, 99999999999]",
            ],
            vec![START, "rarefy what is this"],
        ] {
            assert!(Recording::read(log.clone()).is_err(), "{log:?}");
        }
    }
}
