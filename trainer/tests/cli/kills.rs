//! SIGKILL at any moment of a run: the same command, given again, ends with the same bits as an
//! undisturbed run and leaves no temporary files. The runs have phases of every kind, and most of
//! them a checkpoint before each step.
//!
//! Half of the moments are random times; the other half come right after a change in the folder,
//! since these short moments are rarely hit by chance. The test tries a few moments, and
//! `cargo xtask fuzz kill --moments N` any number.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rarefy_trainer::random::Random;

use crate::program;

/// A network that trains quickly.
const SMALL: &str = "name = \"small\"\ninput = [1, 28, 28]\n\
    [[layer]]\ntype = \"average-pool\"\nsize = 4\n\
    [[layer]]\ntype = \"dense\"\nunits = 12\n\
    [[layer]]\ntype = \"dense\"\nunits = 10\n";

/// A recipe with phases of every kind, several rounds, and two steps to rewind to.
const PHASES: &str = r#"
arch = "small.toml"
hyperparameters = { batch = 500 }
phase = [
    { kind = "train", epochs = 2 },
    { kind = "prune", pruner = "magnitude/global", compression = 2 },
    { kind = "rewind", to = 7 },
    { kind = "train", epochs = 1, optimizer = { kind = "adam" }, learning_rate = 0.01 },
    { kind = "prune", pruner = "lamp", type = "direct", compression = 3 },
    { kind = "rewind", to = 13 },
    { kind = "regrow", method = "set", epochs = 1, every = 3 },
    { kind = "gradual", epochs = 1, every = 2, compression = 5 },
    { kind = "regrow", method = "rigl", epochs = 1, every = 3 },
    { kind = "rewind" },
    { kind = "train", epochs = 1, augmentation = { shift = 1 } },
]
"#;

/// Runs, each in its own folder: with a dense phase and masks; with every kind of phase; with two
/// rounds; with a pruner that scores for long before training starts.
const TRAIN: [&str; 4] = [
    "train --arch small.toml --pruner lamp --type direct --compression 4 --epochs 2 --batch 500 \
     -o run --quiet",
    "train --recipe phases.toml --checkpoint-minutes 1e-9 -o run --quiet",
    "train --arch small.toml --pruner magnitude/global --rounds 2 --rewind-to 5 --compression 4 \
     --epochs 1 --batch 250 --checkpoint-minutes 1e-9 -o run --quiet",
    "train --arch small.toml --pruner snip/iterative --compression 4 --epochs 1 --batch 500 \
     --checkpoint-minutes 1e-9 -o run --quiet",
];

/// The export of the first run.
const EXPORT: &str = "export run -o model.rfy --quiet";

/// The environment variable with the number of moments, and its default.
const MOMENTS: (&str, usize) = ("RAREFY_KILL_MOMENTS", 10);

/// The environment variable with the seed of the moments.
const SEED: &str = "RAREFY_KILL_SEED";

/// The contents that must be the same, by path: everything but times.
type Files = BTreeMap<String, Vec<u8>>;

/// Reads the files below `folder`, without the times in them.
fn files(folder: &Path) -> Files {
    let mut files = Files::new();
    for place in ["", "run"] {
        for entry in folder.join(place).read_dir().into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            if path.is_file() {
                files.insert(name, without_times(&path));
            }
        }
    }
    files
}

/// Reads the file `path`, without the times in it.
fn without_times(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let text = || String::from_utf8(bytes.clone()).unwrap();
    let kept: Vec<String> = match name {
        "metrics.csv" => {
            let row = |line: &str| line.rsplit_once(',').unwrap().0.to_owned();
            text().lines().map(row).collect()
        }
        "result.json" => {
            let text = text();
            let lines = text.lines().filter(|line| !line.contains("\"seconds\""));
            lines.map(str::to_owned).collect()
        }
        "SHA256SUMS" => {
            let timed =
                |line: &&str| line.ends_with("metrics.csv") || line.ends_with("result.json");
            let text = text();
            let lines = text.lines().filter(|line| !timed(line));
            lines.map(str::to_owned).collect()
        }
        _ => return bytes,
    };
    kept.join("\n").into_bytes()
}

/// When a process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After this time.
    Time(Duration),
    /// After this many changes of the names and lengths in the folder.
    Changes(usize),
}

/// Lists the names and lengths of the files below `folder`.
fn listing(folder: &Path) -> Vec<(String, u64)> {
    let mut names = Vec::new();
    for place in ["", "run"] {
        for entry in folder
            .join(place)
            .read_dir()
            .into_iter()
            .flatten()
            .flatten()
        {
            let length = entry.metadata().map_or(0, |metadata| metadata.len());
            names.push((entry.file_name().to_string_lossy().into_owned(), length));
        }
    }
    names.sort();
    names
}

/// Starts `arguments` in `folder` with its output discarded.
fn start(folder: &Path, arguments: &str) -> Child {
    let mut command = program::command(folder, arguments);
    command.env("RAYON_NUM_THREADS", "1");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Watches `folder` until `child` has ended or `until` returns true, and counts the changes.
fn watch(folder: &Path, child: &mut Child, until: impl Fn(usize) -> bool) -> usize {
    let (mut changes, mut before) = (0, listing(folder));
    loop {
        // Checked first, so that the last change is counted too.
        let ended = child.try_wait().unwrap().is_some();
        let now = listing(folder);
        changes += usize::from(now != before);
        before = now;
        if ended || until(changes) {
            return changes;
        }
    }
}

/// Runs `arguments` in `folder` and kills the process at `moment`; returns whether it was still
/// running.
fn killed(folder: &Path, arguments: &str, moment: Moment) -> bool {
    let mut child = start(folder, arguments);
    match moment {
        Moment::Time(time) => thread::sleep(time),
        Moment::Changes(most) => {
            watch(folder, &mut child, |changes| changes >= most);
        }
    }
    let _ = child.kill();
    child.wait().unwrap().code().is_none()
}

/// An undisturbed command: its files before and after, its duration, and the number of changes.
struct Undisturbed {
    arguments: &'static str,
    begins: Files,
    ends: Files,
    time: Duration,
    changes: usize,
}

impl Undisturbed {
    /// Runs `arguments` twice in `folder`, once watched and once timed.
    fn run(folder: &Path, arguments: &'static str, output: &str) -> Self {
        let begins = raw(folder);
        let watched = Instant::now();
        let mut child = start(folder, arguments);
        let changes = watch(folder, &mut child, |_| false);
        assert!(child.wait().unwrap().success(), "{arguments}");
        let watched = watched.elapsed();
        let ends = files(folder);
        let _ = fs::remove_dir_all(folder.join(output));
        let _ = fs::remove_file(folder.join(output));
        let begun = Instant::now();
        assert!(start(folder, arguments).wait().unwrap().success());
        // The shorter time, so that a busy machine does not put moments past the end.
        let time = begun.elapsed().min(watched);
        assert!(files(folder) == ends, "{arguments} does not repeat itself");
        assert!(changes > 0, "nothing was seen of {arguments}");
        Self {
            arguments,
            begins,
            ends,
            time,
            changes,
        }
    }

    /// Draws a moment.
    fn moment(&self, random: &mut Random) -> Moment {
        if random.below(2) == 0 {
            Moment::Time(self.time.mul_f64(random.unit()))
        } else {
            Moment::Changes(1 + random.below(self.changes as u64) as usize)
        }
    }

    /// Kills the command once or twice and runs it again. Returns the number of kills that hit the
    /// running process, or what went wrong.
    fn disturb(&self, random: &mut Random) -> Result<usize, String> {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (name, bytes) in &self.begins {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let moments: Vec<Moment> = (0..1 + random.below(2))
            .map(|_| self.moment(random))
            .collect();
        let met = moments
            .iter()
            .filter(|&&moment| killed(folder, self.arguments, moment));
        let met = met.count();
        let at = format!("{} killed at {moments:?}", self.arguments);
        let output = program::run(folder, self.arguments);
        if !output.status.success() {
            let (_, stderr) = program::texts(&output);
            return Err(format!("{at} does not resume: {stderr}"));
        }
        let found = files(folder);
        let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        if names(&found) != names(&self.ends) {
            return Err(format!("{at} leaves {:?}", names(&found)));
        }
        match found
            .iter()
            .zip(&self.ends)
            .find(|(found, end)| found != end)
        {
            Some(((name, _), _)) => Err(format!("{at} ends with another {name}")),
            None => Ok(met),
        }
    }
}

/// Reads all files below `folder`.
fn raw(folder: &Path) -> Files {
    let names = files(folder).into_keys();
    names
        .map(|name| {
            let bytes = fs::read(folder.join(&name)).unwrap();
            (name, bytes)
        })
        .collect()
}

#[test]
fn killed_at_any_moment_the_same_command_ends_with_the_same_bits() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let moments = number(MOMENTS.0).unwrap_or(MOMENTS.1 as u64);
    let seed = number(SEED).unwrap_or(1);
    let folders = TRAIN.map(|_| tempfile::tempdir().unwrap());
    let mut commands = Vec::new();
    for (arguments, folder) in TRAIN.into_iter().zip(&folders) {
        fs::write(folder.path().join("small.toml"), SMALL).unwrap();
        fs::write(folder.path().join("phases.toml"), PHASES).unwrap();
        commands.push(Undisturbed::run(folder.path(), arguments, "run"));
    }
    commands.push(Undisturbed::run(folders[0].path(), EXPORT, "model.rfy"));

    let (mut met, mut failures) = (vec![0; commands.len()], Vec::new());
    for index in 0..moments {
        let mut random = Random::stream(seed, &format!("kill {index}"));
        let command = index as usize % commands.len();
        match commands[command].disturb(&mut random) {
            Ok(alive) => met[command] += alive,
            Err(failure) => failures.push(failure),
        }
    }
    for (command, met) in commands.iter().zip(&met) {
        println!(
            "{met} kills of `{}` ({:?}, {} changes)",
            command.arguments, command.time, command.changes
        );
    }
    let met: usize = met.iter().sum();
    println!(
        "{moments} moments of seed {seed}: {met} kills met a running process, {} folders did not resume \
         or ended with other bits",
        failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(met > 0, "every process had ended before it was killed");
}
