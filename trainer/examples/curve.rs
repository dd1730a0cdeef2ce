//! Prints the effective compression of random pruning at direct compressions up to 10,000, for
//! uniform quotas and for ideal gas quotas (figure 1 of the paper).
//!
//! ```sh
//! cargo run --release -p rarefy-trainer --example curve -- lenet-300-100
//! ```

use std::error::Error;

use rarefy_trainer::graph;
use rarefy_trainer::pruning::curve::Curve;
use rarefy_trainer::pruning::effective::Mode;
use rarefy_trainer::pruning::{Compression, Pruner, Source};

fn main() -> Result<(), Box<dyn Error>> {
    let arch = std::env::args().nth(1).unwrap_or("lenet-300-100".into());
    let graph = graph::load(&arch)?;
    let source = Source::new(&graph);

    let most = Compression::new(1e4)?;

    for name in ["random/uniform", "random/igq"] {
        // One forward and one backward pass over the network serve every budget.
        let ordering = Pruner::by_name(name)?.order(&source, most)?;
        let curve = Curve::new(&graph, &ordering, name, Mode::Exact, most);
        println!("{name}\n  direct  effective");
        for (direct, effective) in curve.compressions().step_by(10) {
            println!("{direct:>7.1}x {effective:>9.1}x");
        }
        if curve.falls_apart {
            println!("  beyond: no path from input to output");
        }
    }
    Ok(())
}
