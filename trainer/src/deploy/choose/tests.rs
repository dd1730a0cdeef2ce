//! Tests the choice of encodings for synthetic networks and for the committed ones.

use std::path::Path;

use super::*;
use crate::data;
use crate::deploy::network::Operation;
use crate::deploy::sparse::from_rows;
use crate::deploy::{container, export};
use crate::random::Random;

/// Returns a chain of dense layers of the given sizes and densities.
fn chain(sizes: &[usize], density: &[f64]) -> Network {
    let random = &mut Random::new(6);
    let count = density.len();
    let pairs = sizes.windows(2).zip(density).enumerate();
    let layers = pairs.map(|(index, (pair, density))| {
        let rows = (0..pair[1]).map(|_| {
            let kept = (0..pair[0]).filter(|_| random.unit() < *density);
            let kept: Vec<usize> = kept.collect();
            let weight = |column| (column, 0.1 * random.normal() as f32);
            kept.into_iter().map(weight).collect()
        });
        let weights = from_rows(pair[0], rows.collect::<Vec<_>>().into_iter());
        Layer {
            name: format!("fc{}", index + 1),
            operation: Operation::Dense,
            weights,
            bias: vec![0.1; pair[1]],
            relu: index + 1 < count,
            ceiling: f32::INFINITY,
            source: index.checked_sub(1),
            skip: None,
            shape: [pair[1], 1, 1],
            original: (pair[1], pair[0]),
        }
    });
    Network {
        layers: layers.collect(),
        input: [1, 1, sizes[0]],
    }
}

fn chosen(
    network: &Network,
    weights: WeightType,
    goal: Goal,
    choice: EncodingChoice,
) -> Result<Vec<Encoding>, DeployError> {
    let random = &mut Random::new(7);
    // Four of five pixels are 0, as in digits.
    let mut pixel = || (random.below(1280).saturating_sub(1024)) as u8;
    let images: Vec<Vec<u8>> = (0..30)
        .map(|_| (0..network.input[2]).map(|_| pixel()).collect())
        .collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    choose(network, &images, weights, (goal, Core::M4), choice)
}

#[test]
fn each_goal_gets_what_serves_it() {
    let network = chain(&[700, 100, 40, 10], &[0.15, 0.02, 1.0]);
    let with = |weights, goal| chosen(&network, weights, goal, EncodingChoice::Auto).unwrap();
    let size = with(WeightType::Int(4), Goal::Size);
    assert_eq!(size, [Encoding::Rice; 3]);
    // The first layer has many weights and mostly zero inputs, the second has few weights.
    let speed = with(WeightType::Int(6), Goal::Speed);
    assert_eq!(speed[..2], [Encoding::Columns, Encoding::Words]);
    // A layer that keeps all weights and whose inputs are never zero.
    let (full, image) = (chain(&[64, 12], &[1.0]), [9; 64]);
    let (bits, goal) = (WeightType::Int(6), (Goal::Speed, Core::M4));
    let speed = choose(&full, &[&image], bits, goal, EncodingChoice::Auto).unwrap();
    assert_eq!(speed, [Encoding::Dense]);
    // In a packed word, an index of 700 columns leaves 6 bits for the weight, too few for int8.
    let balanced = with(WeightType::Int(8), Goal::Balanced);
    assert!(balanced[0] != Encoding::Words, "{balanced:?}");
}

fn cost(bytes: f64, instructions: f64) -> Cost {
    Cost {
        bytes,
        instructions,
    }
}

#[test]
fn a_second_encoding_has_to_save_what_it_costs() {
    let layer = |csr: f64| {
        vec![
            (Encoding::Words, cost(20.0, 1000.0)),
            (Encoding::Csr, cost(30.0, csr)),
        ]
    };
    let (_, layers) = costs::mixed(&[Encoding::Words, Encoding::Csr]);
    let mixed = costs::cost(Core::M4, &[(costs::Unit::Mixed, layers)]);
    assert!(mixed > 1.0, "{mixed}");
    let with = |saved: f64, goal| {
        let trials = [layer(1000.0 - saved), layer(2000.0)];
        cheapest(&[&trials[0], &trials[1]], goal, Core::M4)
    };
    let both = [Encoding::Csr, Encoding::Words];
    // Of 2,000 instructions, a saving of 9 is a tie, which the smaller network wins.
    assert_eq!(with(mixed + 40.0, Goal::Speed), both);
    assert_eq!(with(mixed + 5.0, Goal::Speed), [Encoding::Words; 2]);
    assert_eq!(with(mixed - 1.0, Goal::Speed), [Encoding::Words; 2]);
    assert_eq!(with(900.0, Goal::Size), [Encoding::Words; 2]);
    assert_eq!(with(900.0, Goal::Balanced), both);
}

#[test]
fn a_gain_within_the_error_of_predictions_buys_no_bytes() {
    let sparse = [
        (Encoding::Csr, cost(100.0, 10_040.0)),
        (Encoding::Dense, cost(900.0, 10_000.0)),
    ];
    let full = [
        (Encoding::Csr, cost(2000.0, 60_000.0)),
        (Encoding::Dense, cost(900.0, 40_000.0)),
    ];
    let with = |trials: &[&[Trial]], goal| cheapest(trials, goal, Core::M4);
    assert_eq!(with(&[&sparse], Goal::Speed), [Encoding::Csr]);
    assert_eq!(
        with(&[&sparse, &full], Goal::Speed),
        [Encoding::Csr, Encoding::Dense]
    );
    // A gain beyond the error does buy bytes.
    let sure = [sparse[0], (Encoding::Dense, cost(900.0, 9_900.0))];
    assert_eq!(with(&[&sure], Goal::Speed), [Encoding::Dense]);
}

#[test]
fn an_encoding_that_fails_is_left_out_and_every_limit_is_named() {
    let network = chain(&[700, 100, 10], &[0.1, 0.5]);
    let image = [9; 700];
    let mut candidates =
        Candidates::new(&network, &[&image], WeightType::Int(8), Core::M4).unwrap();
    let mut seen = Vec::new();
    let error = loop {
        match candidates.encodings(Goal::Speed) {
            Ok(encodings) => {
                assert!(!seen.contains(&encodings[0]), "{seen:?}");
                seen.push(encodings[0]);
                assert!(candidates.exclude(0, encodings[0], "it is too large"));
                assert!(!candidates.exclude(0, encodings[0], "it is too large"));
            }
            Err(error) => break error.to_string(),
        }
    };
    // With 700 columns, a word has 6 bits left for a weight, so `words` was never a candidate.
    assert_eq!(seen.len(), ENCODINGS.len() - 1);
    assert!(
        error.starts_with("layer fc1 cannot be quantized: no encoding"),
        "{error}"
    );
    for encoding in ENCODINGS {
        let limit = match encoding {
            Encoding::Words => "with 700 columns, a word has 6 bits left for a weight",
            _ => "it is too large",
        };
        let limit = format!("{} ({limit}", encoding.name());
        assert!(error.contains(&limit), "{error}");
    }
}

#[test]
fn an_encoding_asked_for_is_taken_or_refused_with_the_layer_at_fault() {
    let network = chain(&[700, 100, 10], &[0.1, 0.5]);
    let only = |weights, encoding| {
        let choice = EncodingChoice::Only(encoding);
        chosen(&network, weights, Goal::Size, choice)
    };
    for encoding in ENCODINGS {
        assert_eq!(only(WeightType::Int(6), encoding).unwrap(), [encoding; 2]);
    }
    assert_eq!(
        only(WeightType::Int(8), Encoding::Words)
            .unwrap_err()
            .to_string(),
        "layer fc1 cannot be stored as words: with 700 columns, a word has 6 bits left for a weight, fewer than the 8 requested; let the encoding be chosen"
    );
}

#[test]
fn no_layer_is_stored_as_what_cannot_hold_it() {
    // As packed words, rows of more than 3,000 weights have sums that do not fit 32 bits.
    let network = chain(&[4000, 4, 3], &[0.9, 1.0]);
    let speed = chosen(
        &network,
        WeightType::Int(3),
        Goal::Speed,
        EncodingChoice::Auto,
    );
    let speed = speed.unwrap();
    assert!(
        speed[0] != Encoding::Words && speed[0] != Encoding::Columns,
        "{speed:?}"
    );
}

/// Tests that fewer bits never take more bytes, although packed words keep weights that rounding
/// removes from compressed rows, and dense rows take a byte per weight at any number of bits.
#[test]
fn fewer_bits_do_not_take_more_bytes() {
    let network = chain(&[784, 100, 100, 10], &[0.014, 0.1, 0.53]);
    let random = &mut Random::new(9);
    let images: Vec<Vec<u8>> = (0..40)
        .map(|_| (0..784).map(|_| random.below(256) as u8).collect())
        .collect();
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let bytes = |weights| {
        let options = export::Options {
            weights,
            ..export::Options::default()
        };
        export::integers(&network, &images, &options)
            .unwrap()
            .bytes
            .len()
    };
    let bits = [6, 4, 3, 2].map(WeightType::Int);
    let bytes = bits.into_iter().chain([WeightType::Ternary]).map(bytes);
    let bytes: Vec<usize> = bytes.collect();
    assert!(bytes.is_sorted_by(|a, b| a >= b), "{bytes:?}");
}

/// Returns a chain of dense layers that computes what the container at `path` does, up to rounding,
/// and the container's encodings.
fn committed(path: &Path) -> (Network, Vec<Encoding>) {
    let bytes = container::read(path).unwrap();
    let model = container::parse(&bytes, path).unwrap();
    let layers = model.layers().map(|layer| {
        let WeightsSpec::Integers { bias, rows } = LayerSpec::from_layer(&layer).weights else {
            panic!("{} should have integer weights", path.display());
        };
        let one = 2_f32.powi(layer.shift().into());
        let row = |row: &Vec<(u16, i16)>| {
            let weight =
                |&(column, weight): &(u16, i16)| (usize::from(column), f32::from(weight) / one);
            row.iter().map(weight).collect::<Vec<_>>()
        };
        Layer {
            name: format!("fc{}", layer.index() + 1),
            operation: Operation::Dense,
            weights: from_rows(layer.columns(), rows.iter().map(row)),
            bias: bias.iter().map(|&bias| bias as f32 / one).collect(),
            relu: !layer.is_last(),
            ceiling: f32::INFINITY,
            source: layer.index().checked_sub(1),
            skip: None,
            shape: [layer.outputs(), 1, 1],
            original: (layer.original_outputs(), layer.columns()),
        }
    });
    let network = Network {
        layers: layers.collect(),
        input: [1, 28, 28],
    };
    let encodings = model.layers().map(|layer| layer.encoding());
    (network, encodings.collect())
}

/// Tests that choosing the encodings of the committed networks again adds no bytes, and adds
/// instructions only within a tie.
#[test]
fn committed_networks_do_not_grow() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/networks");
    let digits = data::folder::load(&folder.join("digits")).unwrap().test;
    let images: Vec<&[u8]> = (0..digits.len()).map(|index| digits.image(index)).collect();
    let (speed, size) = (Goal::Speed, Goal::Size);
    for (name, bits, goal, core) in [
        ("10x-speed-m4", 6, speed, Core::M4),
        ("100x-size", 4, size, Core::M4),
        ("100x-speed-m4", 6, speed, Core::M4),
        ("100x-speed-m0", 6, speed, Core::M0),
        ("1000x-speed-m0", 6, speed, Core::M0),
    ] {
        let path = folder.join(format!("lenet-300-100-{name}.rfy"));
        let (network, stored) = committed(&path);
        let weights = WeightType::Int(bits);
        let candidates = Candidates::new(&network, &images, weights, core).unwrap();
        let chosen = candidates.encodings(goal).unwrap();
        let cost = |encodings: &[Encoding]| {
            let layers = candidates.layers.iter().zip(encodings);
            let costs = layers.map(|(tried, encoding)| {
                let trial = tried.trials.iter().find(|trial| trial.0 == *encoding);
                trial.unwrap().1
            });
            costs.fold(Cost::NONE, |total, cost| Cost {
                bytes: total.bytes + cost.bytes,
                instructions: total.instructions + cost.instructions,
            })
        };
        let (old, new) = (cost(&stored), cost(&chosen));
        let most = (1.0 + TIE).powi(2) * old.instructions;
        assert!(
            new.bytes <= old.bytes && new.instructions <= most,
            "{name}: {stored:?} {old:?}, now {chosen:?} {new:?}"
        );
    }
}
