//! `cargo xtask bench networks`: trains and exports the networks of `tests/networks` again.
//!
//! Each network has a run folder under `runs/networks`; finished runs are not repeated. MNIST is
//! needed (`rarefy data fetch mnist`). Training is reproducible only on the same kind of
//! processor, so the containers are committed: the cost of their kernels can be compared without
//! training.

use crate::command::{self, Outcome, root};

/// A network: its name, the arguments of `rarefy train --arch`, and its exports.
type Network = (
    &'static str,
    &'static [&'static str],
    &'static [&'static Goal],
);

/// An export: the end of the container's name, and the arguments of `rarefy export RUN`.
type Goal = (&'static str, &'static [&'static str]);

const SIZE: Goal = ("size", &["--optimize", "size", "--weights", "int4"]);
const SPEED_M4: Goal = (
    "speed-m4",
    &["--optimize", "speed", "--board", "mps2-an386"],
);
const SPEED_M0: Goal = ("speed-m0", &["--optimize", "speed", "--board", "microbit"]);
const SPEED_RV32: Goal = (
    "speed-rv32",
    &["--optimize", "speed", "--board", "qemu-virt-rv32"],
);

/// The container of a network that is also emitted as code. Its weights have 6 bits, so that many
/// are equal.
const CODE: Goal = ("code-m4", &["--encoding", "csr"]);

/// The exports of the least pruned network, which would be too large as code.
const LENET_10X: &[&Goal] = &[&SIZE, &SPEED_M0, &SPEED_M4];

const LENET: &[&Goal] = &[&SIZE, &SPEED_M0, &SPEED_M4, &SPEED_RV32, &CODE];

const NETWORKS: &[Network] = &[
    (
        "lenet-300-100-10x",
        &["lenet-300-100", "--compression", "10", "--epochs", "20"],
        LENET_10X,
    ),
    (
        "lenet-300-100-100x",
        &["lenet-300-100", "--compression", "100", "--epochs", "20"],
        LENET,
    ),
    (
        "lenet-300-100-300x",
        &["lenet-300-100", "--compression", "300", "--epochs", "20"],
        LENET,
    ),
    (
        "lenet-300-100-1000x",
        &["lenet-300-100", "--compression", "1000", "--epochs", "20"],
        LENET,
    ),
    (
        "lenet-5-28-10x",
        &["lenet-5-28", "--compression", "10", "--epochs", "5"],
        &[&SPEED_M4],
    ),
    (
        "lenet-5-28-uniform-10x",
        &[
            "lenet-5-28",
            "--pruner",
            "magnitude/uniform",
            "--compression",
            "10",
            "--epochs",
            "5",
        ],
        &[&SPEED_M4],
    ),
    (
        "lenet-5-28-global-10x",
        &[
            "lenet-5-28",
            "--pruner",
            "magnitude/global",
            "--compression",
            "10",
            "--epochs",
            "5",
        ],
        &[&SPEED_M4],
    ),
    (
        "conv6-conv12-3x",
        &[
            "trainer/architectures/conv6-conv12.toml",
            "--compression",
            "3.07",
            "--epochs",
            "5",
        ],
        &[&SIZE, &SPEED_M4],
    ),
    (
        "lenet-5-caffe-50x",
        &["lenet-5-caffe", "--compression", "50", "--epochs", "3"],
        &[&SPEED_M4],
    ),
    (
        "residual-5x",
        &[
            "trainer/architectures/residual.toml",
            "--compression",
            "5",
            "--epochs",
            "3",
        ],
        &[&SPEED_M4],
    ),
];

/// Trains the networks that have no finished run, and exports all networks.
pub(crate) fn run(_: &[String]) -> Outcome {
    for (name, training, goals) in NETWORKS {
        let folder = root().join("runs/networks").join(name);
        if !folder.join("result.json").exists() {
            let mut train = command::rarefy()?;
            train.args(["train", "--data", "mnist", "--arch"]);
            train.args(*training).arg("-o").arg(&folder);
            command::run(
                &format!("training {name}"),
                train.env("RAYON_NUM_THREADS", "1"),
            )?;
        }
        for (goal, options) in *goals {
            let file = root().join(format!("tests/networks/{name}-{goal}.rfy"));
            let mut export = command::rarefy()?;
            export.arg("export").arg(&folder).arg("-o").arg(&file);
            command::run(
                &format!("exporting {name}-{goal}"),
                export.args(*options).args(["--data", "mnist"]),
            )?;
            // The companion file is not committed.
            std::fs::remove_file(file.with_extension("rfy.json"))
                .map_err(|e| format!("cannot remove the companion of {name}-{goal}: {e}"))?;
        }
    }
    eprintln!("== next: cargo xtask bench kernels");
    Ok(())
}
