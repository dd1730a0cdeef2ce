//! Prunes a trained network to an effective compression and writes its masks, using only the
//! library.
//!
//! ```sh
//! cargo run --release -p rarefy-trainer --example prune -- \
//!     lenet-300-100 dense.safetensors masks.safetensors
//! ```
//!
//! The weights are a safetensors file with the tensor names that `rarefy arch lenet-300-100`
//! prints. Without files, the initial weights of training are pruned and nothing is written.

use std::error::Error;
use std::path::Path;

use rarefy_trainer::graph;
use rarefy_trainer::pruning::{Compression, Pruner, Source, Target, Weights};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arch = arguments.first().map_or("lenet-300-100", String::as_str);
    let graph = graph::load(arch)?;
    let weights = match arguments.get(1) {
        Some(path) => Weights::load(&graph, Path::new(path))?,
        None => Weights::initial(&graph, 0),
    };

    let source = Source {
        trained: Some(&weights),
        ..Source::new(&graph)
    };
    let compression = Compression::new(100.0)?;
    let pruned =
        Pruner::by_name("magnitude/igq")?.prune(&source, Target::Effective, compression)?;

    let (mask, connected) = (&pruned.outcome.direct, &pruned.outcome.effective);
    println!(
        "{arch}: {} of {} weights in the mask, {} of them connected",
        mask.nonzeros(),
        mask.total(),
        connected.nonzeros()
    );
    for (tensor, mask) in graph.prunable().iter().zip(connected.iter()) {
        println!(
            "  {:16} {:>8} of {:>8}",
            tensor.name,
            mask.nonzeros(),
            tensor.len()
        );
    }
    if let Some(out) = arguments.get(2) {
        connected.save(Path::new(out))?;
    }
    Ok(())
}
