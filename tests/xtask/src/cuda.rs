//! `cargo xtask cuda`: builds `rarefy` for NVIDIA GPUs where neither CUDA nor a GPU is installed,
//! and checks how it behaves without one.
//!
//! The toolkit comes from NVIDIA's Python packages, into a folder of `target`. The driver, which
//! no package contains, is replaced by a stub whose every function fails. With it, the program
//! links and starts; it must reject `--device cuda` in one sentence, and choose the CPU for
//! `--device auto`. Nothing is computed on a GPU. The build takes half an hour on one core.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::command::{self, Outcome, cargo, output, root};

/// NVIDIA's packages and their versions. cudarc rejects later toolkits, and drivers reject code
/// that is newer than they are.
const PACKAGES: &[&str] = &[
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-nvrtc==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.0.85",
    "nvidia-cublas==13.1.0.3",
    "nvidia-curand==10.4.0.35",
];

/// The folder of the toolkit in the packages.
const TOOLKIT: &str = "nvidia/cu13";

/// The libraries that are linked, which the packages contain under versioned names only.
const LIBRARIES: &[&str] = &["cudart", "cublas", "cublasLt", "curand", "nvrtc"];

/// The compute capability that kernels are compiled for. Drivers compile them for later ones.
const COMPUTE_CAPABILITY: &str = "80";

/// The error that every function of the stub returns: CUDA_ERROR_STUB_LIBRARY.
const STUB_ERROR: u32 = 34;

/// The folders of this chore.
struct Folders {
    /// The folder of everything that the chore makes.
    all: PathBuf,
    /// The toolkit, laid out like an installation of CUDA.
    toolkit: PathBuf,
    /// The stub of the driver.
    stub: PathBuf,
}

/// Installs the toolkit, builds and checks.
pub(crate) fn run(_: &[String]) -> Outcome {
    if !cfg!(target_os = "linux") {
        return Err("the chore needs Linux: NVIDIA's packages are for it".into());
    }
    let all = root().join("target").join("cuda");
    let toolkit = all.join("wheels").join(TOOLKIT);
    let stub = toolkit.join("lib").join("stubs");
    let folders = Folders { all, toolkit, stub };
    folders.install()?;
    folders.arrange()?;
    folders.make_stub()?;
    let program = folders.build()?;
    folders.check(&program)
}

/// Returns the error for a file or folder that could not be made.
fn cannot(path: &Path) -> impl Fn(std::io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("cannot write {path}: {error}")
}

/// Makes `link` a symbolic link to `target`, a path relative to its folder.
fn link(target: &str, link: &Path) -> Outcome {
    #[cfg(unix)]
    {
        if link.symlink_metadata().is_ok() {
            fs::remove_file(link).map_err(cannot(link))?;
        }
        std::os::unix::fs::symlink(target, link).map_err(cannot(link))
    }
    #[cfg(not(unix))]
    Err(format!("cannot link {} to {target}", link.display()))
}

impl Folders {
    /// Installs the packages, unless these versions are installed already.
    fn install(&self) -> Outcome {
        let done = self.all.join("packages");
        let list = PACKAGES.join("\n");
        if fs::read_to_string(&done).is_ok_and(|text| text == list) {
            return Ok(());
        }
        let wheels = self.all.join("wheels");
        fs::create_dir_all(&wheels).map_err(cannot(&wheels))?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--no-deps", "--upgrade", "--target"]);
        pip.arg(&wheels).args(PACKAGES);
        command::run("installing NVIDIA's packages (1.2 GB)", &mut pip)?;
        fs::write(&done, list).map_err(cannot(&done))
    }

    /// Gives the toolkit the names that an installation of CUDA has.
    fn arrange(&self) -> Outcome {
        link("lib", &self.toolkit.join("lib64"))?;
        let folder = self.toolkit.join("lib");
        for library in LIBRARIES {
            let versioned = format!("lib{library}.so.");
            let files = fs::read_dir(&folder).map_err(cannot(&folder))?;
            let names = files.flatten().map(|file| file.file_name());
            let mut names: Vec<String> = names
                .filter_map(|name| name.into_string().ok())
                .filter(|name| name.starts_with(&versioned))
                .collect();
            names.sort();
            let Some(name) = names.first() else {
                return Err(format!("{} has no {versioned}*", folder.display()));
            };
            link(name, &folder.join(format!("lib{library}.so")))?;
        }
        Ok(())
    }

    /// Makes a driver whose functions, those that cudarc declares, all fail.
    fn make_stub(&self) -> Outcome {
        let names = driver_functions(&declarations()?)?;
        let mut text = String::new();
        for name in &names {
            let _ = writeln!(text, "int {name}(void) {{ return {STUB_ERROR}; }}");
        }
        fs::create_dir_all(&self.stub).map_err(cannot(&self.stub))?;
        let source = self.stub.join("cuda.c");
        fs::write(&source, text).map_err(cannot(&source))?;
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"]);
        compile.arg(self.stub.join("libcuda.so")).arg(&source);
        let what = format!("a stub of the driver with {} functions", names.len());
        command::run(&what, &mut compile)?;
        link("libcuda.so", &self.stub.join("libcuda.so.1"))
    }

    /// Builds `rarefy` with the feature `cuda` in a target folder of its own and returns its path.
    fn build(&self) -> Result<PathBuf, String> {
        let target = self.all.join("build");
        let mut build = cargo();
        build.args(["build", "--locked", "--profile", command::CHECKS]);
        build.args(["--package", "rarefy-trainer", "--bin", "rarefy"]);
        build.args(["--features", "cuda", "--jobs", "1"]);
        build.arg("--target-dir").arg(&target);
        let mut path = self.toolkit.join("bin").into_os_string();
        if let Some(others) = std::env::var_os("PATH") {
            path.push(":");
            path.push(others);
        }
        build.env("PATH", path).env("CUDA_HOME", &self.toolkit);
        build.env("CUDA_COMPUTE_CAP", COMPUTE_CAPABILITY);
        build.env("CUDAFORGE_THREADS", "1");
        command::run("building rarefy for CUDA (half an hour)", &mut build)?;
        Ok(target.join(command::CHECKS).join("rarefy"))
    }

    /// Checks how `program` behaves without a GPU.
    fn check(&self, program: &Path) -> Outcome {
        let folder = self.all.join("runs");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(cannot(&folder))?;
        }
        fs::create_dir_all(&folder).map_err(cannot(&folder))?;
        eprintln!("== running rarefy with the stub of the driver");
        let version = self.rarefy(program, &folder, "--version", false)?;
        if !version.status.success() {
            return Err(format!("rarefy does not start: {}", told(&version)));
        }
        let train = "train --pruner dense --arch lenet-300-100 --epochs 1";
        for backtrace in [false, true] {
            let line = format!("{train} --device cuda -o refused");
            let refused = self.rarefy(program, &folder, &line, backtrace)?;
            refusal(&refused)?;
        }
        if folder.join("refused").exists() {
            return Err("a run that was refused left a folder".into());
        }
        let chosen = self.rarefy(
            program,
            &folder,
            &format!("{train} --device auto -o auto"),
            false,
        )?;
        let text = told(&chosen);
        if !(chosen.status.success() && text.contains("computing on the CPU")) {
            return Err(format!("--device auto does not choose the CPU: {text}"));
        }
        println!(
            "{} starts without a driver, refuses --device cuda and chooses the CPU; nothing was computed on a GPU",
            program.display()
        );
        Ok(())
    }

    /// Runs `program` in `folder` with the stub as the driver.
    fn rarefy(
        &self,
        program: &Path,
        folder: &Path,
        line: &str,
        backtrace: bool,
    ) -> Result<Output, String> {
        let libraries = [self.stub.clone(), self.toolkit.join("lib")];
        let libraries = std::env::join_paths(libraries).map_err(|error| error.to_string())?;
        let mut run = Command::new(program);
        run.args(line.split(' ')).current_dir(folder);
        run.env("LD_LIBRARY_PATH", libraries);
        run.env("RUST_BACKTRACE", if backtrace { "1" } else { "0" });
        let cannot = |error| format!("cannot run {}: {error}", program.display());
        run.output().map_err(cannot)
    }
}

/// Returns what a program wrote to stderr.
fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Checks that a run was refused in one sentence that names the option and what to do.
fn refusal(output: &Output) -> Outcome {
    let text = told(output);
    let lines = text.lines().filter(|line| line.starts_with("error: "));
    let named = ["--device cuda", "driver", "--device cpu"];
    let is_sentence = lines.count() == 1 && named.iter().all(|part| text.contains(part));
    let errors = text.split("error: ").nth(1).unwrap_or("");
    match output.status.code() {
        Some(1) if is_sentence && errors.lines().count() == 1 => Ok(()),
        code => Err(format!(
            "--device cuda ends with {code:?}, not with one sentence: {text}"
        )),
    }
}

/// Returns the folder of cudarc's declarations of the driver.
fn declarations() -> Result<PathBuf, String> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--format-version", "1", "--locked"]);
    metadata.args(["--features", "rarefy-trainer/cuda"]);
    let text = output(&mut metadata)?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let cudarc = packages
        .filter(|package| package["name"] == "cudarc")
        .find_map(|package| package["manifest_path"].as_str())
        .ok_or("cargo metadata names no package cudarc")?;
    Ok(Path::new(cudarc)
        .with_file_name("src")
        .join("driver")
        .join("sys"))
}

/// Returns the names of the functions that the files in `folder` declare: `fn cuInit` and so on.
fn driver_functions(folder: &Path) -> Result<BTreeSet<String>, String> {
    let unread = |error| format!("cannot read {}: {error}", folder.display());
    let mut names = BTreeSet::new();
    for file in fs::read_dir(folder).map_err(unread)?.flatten() {
        let text = fs::read_to_string(file.path()).map_err(unread)?;
        for rest in text.split("fn cu").skip(1) {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let name = &rest[..end.unwrap_or(rest.len())];
            if name.starts_with(|c: char| c.is_ascii_uppercase()) {
                names.insert(format!("cu{name}"));
            }
        }
    }
    match names.is_empty() {
        true => Err(format!("{} declares no function", folder.display())),
        false => Ok(names),
    }
}
