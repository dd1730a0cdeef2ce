//! The progress of a run: one bar for the whole run on a terminal, lines elsewhere.

use std::process::Command;

use crate::program::{self, says, texts};

/// Runs `rarefy` with `arguments` in `folder` on a terminal and returns what it prints there, or
/// `None` if no terminal is available.
fn on_terminal(folder: &std::path::Path, arguments: &str) -> Option<String> {
    let rarefy = program::command(folder, arguments);
    let mut words = vec![rarefy.get_program().to_string_lossy().into_owned()];
    words.extend(
        rarefy
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    let mut command = Command::new("script");
    command
        .args(["-qec", &words.join(" "), "/dev/null"])
        .current_dir(folder)
        .env("RAREFY_DATA", folder)
        .env("COLUMNS", "120");
    let Ok(output) = command.output() else {
        eprintln!("SKIPPED: `script`, which makes a terminal, is not installed");
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    Some(texts(&output).0)
}

#[test]
fn a_bar_counts_the_images_of_all_phases_and_never_ends_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // 2,000 images in two epochs of two phases.
    let line = "train --pruner lamp --type direct --compression 4 --epochs 2 --batch 4 -o run";
    let Some(shown) = on_terminal(folder, line) else {
        return;
    };
    let images = images(folder);
    let all = 4 * images;
    let frames = shown.split('\r').filter(|frame| frame.contains(", epoch "));
    let positions: Vec<(usize, &str)> = frames
        .map(|frame| {
            let (before, after) = frame.split_once(&format!("/{all}")).unwrap_or_else(|| {
                panic!("{frame:?} is not a bar of {all} images");
            });
            let position = before.rsplit(' ').next().unwrap();
            let position: usize = position.parse().unwrap();
            let phase = ["dense", "pruned"].map(|phase| format!("{phase}, epoch "));
            assert!(phase.iter().any(|phase| frame.contains(phase)), "{frame}");
            let epoch = position.saturating_sub(1) / images % 2 + 1;
            // At the start of an epoch, the name changes before the position does.
            if !position.is_multiple_of(images) {
                assert!(frame.contains(&format!("epoch {epoch} of 2")), "{frame}");
            }
            (position, after)
        })
        .collect();
    assert!(positions.len() > 10, "{shown:?}");
    assert!(positions.is_sorted_by_key(|(position, _)| *position));
    assert!(
        positions.iter().all(|(_, after)| !after.contains(" 0s ")),
        "{shown:?}"
    );
    let early = positions.iter().filter(|(position, _)| position * 4 < all);
    let left = early.filter(|(_, after)| after.contains("s left"));
    assert!(left.count() > 0, "no time left is shown: {shown:?}");
}

/// Returns the number of training images, as the error about a batch larger than that says.
fn images(folder: &std::path::Path) -> usize {
    let error = program::misuse(folder, "train --batch 100000 -o none");
    let number = error.split("between 1 and ").nth(1).unwrap();
    number.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn where_there_is_no_terminal_epochs_and_checkpoints_are_lines() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let line = "train --pruner lamp --type direct --compression 4 --epochs 1 --batch 500 -o run";
    let steps = images(folder) / 500;
    let output = program::run(folder, &format!("{line} --checkpoint-minutes 1e-9"));
    let (_, stderr) = texts(&output);
    let lines = |start: String| {
        let found = stderr.lines().filter(|line| line.starts_with(&start));
        found.count()
    };
    for (epoch, phase) in [(1, "dense"), (2, "pruned")] {
        for step in 1..=steps {
            let start = format!("epoch {epoch} of 2 ({phase} 1), step {step} of {steps}: loss ");
            assert_eq!(lines(start), 1, "{stderr}");
        }
        assert_eq!(lines(format!("epoch {epoch} of 2 ({phase} 1): loss ")), 1);
    }
    says(&stderr, &[" so far, "]);
    // By default, a short epoch is one line.
    let output = program::run(folder, &line.replace("run", "other"));
    assert!(!texts(&output).1.contains(", step "), "{output:?}");
}
