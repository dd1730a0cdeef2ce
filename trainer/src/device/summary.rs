//! Summarizes the recorded runs of a program as a report.

use super::boards::{Board, Counter};
use super::footprint::Footprint;
use super::log::Recording;
use super::report::{Cost, Flash, Mismatch, NetworkReport, Ram};
use super::statistics::Counts;

/// Returns the report of a network that ran to its end. `expected` holds the workstation's logits
/// of all samples.
pub(super) fn summarize(
    board: &Board,
    footprint: Footprint,
    recordings: &[Recording],
    expected: &[Vec<i32>],
) -> NetworkReport {
    // Converts ticks of a recording to a count without the overhead of measuring.
    let net = |recording: &Recording, ticks: u64| {
        count(board, ticks).saturating_sub(count(board, recording.start.overhead))
    };
    let mut counts = Vec::new();
    let (mut stack_peak, mut stack_inference) = (None, None);
    for recording in recordings {
        let start = &recording.start;
        stack_peak = stack_peak.max(Some(start.stack));
        for inference in &recording.inferences {
            counts.push(net(recording, inference.ticks));
            stack_peak = stack_peak.max(Some(inference.stack));
            let own = inference.stack.saturating_sub(start.base);
            stack_inference = stack_inference.max(Some(own));
        }
    }
    let mismatch = first_mismatch(recordings, expected);
    let logits = recordings
        .iter()
        .flat_map(|run| &run.inferences)
        .zip(expected);
    let complete = logits
        .into_iter()
        .all(|(inference, expected)| inference.logits.len() == expected.len());
    NetworkReport {
        fits: true,
        over_by: None,
        over_in: None,
        matches_host: Some(mismatch.is_none() && complete),
        mismatch,
        flash: Some(Flash::from(footprint)),
        ram: Some(Ram::new(footprint, stack_peak, stack_inference)),
        cost: Cost::new(board, Counts::over(&counts)),
        load: recordings.first().map(|run| net(run, run.start.load)),
        estimate: None,
        no_estimate: None,
        profile: None,
    }
}

/// Returns the first logit that differs from `expected`.
fn first_mismatch(recordings: &[Recording], expected: &[Vec<i32>]) -> Option<Mismatch> {
    let inferences = recordings.iter().flat_map(|run| &run.inferences);
    let mut samples = inferences.zip(expected).enumerate();
    samples.find_map(|(sample, (inference, expected))| {
        let mut logits = inference.logits.iter().zip(expected).enumerate();
        let differs = |(_, (device, host)): &(usize, (&i32, &i32))| device != host;
        let (logit, (&device, &host)) = logits.find(differs)?;
        Some(Mismatch {
            sample,
            logit,
            host,
            device,
        })
    })
}

/// Converts ticks of the board's timer to its unit: instructions, rounded to the nearest, or
/// cycles.
fn count(board: &Board, ticks: u64) -> u64 {
    match board.counter {
        Counter::Cycles => ticks,
        Counter::Instructions => board.instructions(ticks),
    }
}

#[cfg(test)]
mod tests {
    use super::super::boards::Boards;
    use super::super::firmware::firmware_folder;
    use super::super::log::{Inference, Start};
    use super::*;

    fn board(name: &str) -> Board {
        let boards = Boards::discover(&firmware_folder().unwrap()).unwrap();
        boards.get(name).unwrap().clone()
    }

    #[test]
    fn ticks_give_exact_instruction_counts_on_every_emulated_board() {
        for board in Boards::discover(&firmware_folder().unwrap())
            .unwrap()
            .iter()
        {
            if board.counter == Counter::Cycles {
                assert_eq!(count(board, 12_345), 12_345);
                continue;
            }
            for instructions in [1_u64, 2, 3, 1_000, 20_912, 33_333_333] {
                // Start and end fall anywhere between two ticks, so a reading is off by up to one
                // tick.
                let Some(clock_hz) = board.clock_hz else {
                    assert_eq!(count(board, instructions), instructions, "{}", board.name);
                    continue;
                };
                let picoseconds = (u128::from(instructions) * 1_000) << board.icount_shift();
                let ticks = picoseconds * u128::from(clock_hz) / 1_000_000_000_000;
                let ticks = u64::try_from(ticks).unwrap();
                for reading in [ticks, ticks + 1] {
                    assert_eq!(count(board, reading), instructions, "{}", board.name);
                }
            }
        }
    }

    #[test]
    fn the_first_mismatch_is_reported() {
        let run = |index: i32| {
            let start = Start {
                samples: 2,
                outputs: 2,
                overhead: 32,
                load: 3_232,
                stack: 90,
                base: 24,
            };
            let inference = |extra: u64| Inference {
                ticks: 32 + 320 * extra,
                stack: 64,
                logits: vec![index, index + 10],
            };
            Recording {
                start,
                inferences: vec![inference(1), inference(2)],
            }
        };
        let footprint = Footprint {
            code: 9,
            model: 8,
            samples: 7,
            ram_static: 6,
            arena: 5,
            input: 4,
        };
        let runs = [run(0), run(1)];
        let mut expected = vec![vec![0, 10], vec![0, 10], vec![1, 11], vec![1, 11]];
        let report = summarize(&board("mps2-an386"), footprint, &runs, &expected);
        assert_eq!((report.matches_host, report.mismatch), (Some(true), None));
        assert_eq!(report.load, Some(1_000));
        let counts = report.cost.counts().unwrap();
        assert_eq!((counts.min, counts.median, counts.max), (100, 100, 200));
        assert_eq!(report.ram.unwrap().total, Some(6 + 5 + 90));
        assert_eq!(report.ram.unwrap().stack_inference, Some(64 - 24));

        expected[2][1] = 12;
        expected[3][0] = 5;
        let report = summarize(&board("mps2-an386"), footprint, &runs, &expected);
        assert_eq!(report.matches_host, Some(false));
        assert_eq!(
            report.mismatch,
            Some(Mismatch {
                sample: 2,
                logit: 1,
                host: 12,
                device: 11
            })
        );
        expected[0].push(0);
        let report = summarize(&board("mps2-an386"), footprint, &runs, &expected[..1]);
        assert_eq!(report.matches_host, Some(false));
    }
}
