//! Tests the errors of folding.

use rarefy_trainer::graph::{Graph, Operation, Padding, Pooling};
use rarefy_trainer::pruning::Masks;
use rarefy_trainer::random::Random;

use crate::graphs::Builder;
use crate::trained::{MNIST, Trained};

/// Returns the error message of folding `graph`.
fn refusal(graph: Graph) -> String {
    let masks = Masks::dense(&graph);
    let trained = Trained::new(graph, masks, MNIST, &mut Random::new(5));
    trained.fold().unwrap_err().to_string()
}

#[test]
fn padding_of_signed_maps_is_rejected() {
    let mut builder = Builder::new("toy", [1, 6, 6]);
    let conv = builder.conv(0, (2, 3, 1), Padding::Valid);
    let norm = builder.norm(conv);
    let pool = builder.pool(norm, Pooling::Max, (2, 1));
    let padded = builder.conv(pool, (2, 3, 1), Padding::Same);
    builder.dense(padded, 3);
    assert_eq!(
        refusal(builder.0),
        "layer node4 of toy cannot be exported: it pads the output of node3, which has no ReLU: \
         train node3 with a ReLU, or this layer without padding"
    );
}

#[test]
fn means_over_padded_windows_are_rejected() {
    let mut builder = Builder::new("toy", [1, 6, 6]);
    let window = builder.window(0, (3, 2), Padding::Each(1));
    let kind = Pooling::Average;
    let pool = builder.push(Operation::Pool { kind, window }, &[0]);
    builder.dense(pool, 3);
    let refusal = refusal(builder.0);
    assert!(
        refusal.contains("node1") && refusal.contains("without padding"),
        "{refusal}"
    );
}

#[test]
fn class_scores_must_come_from_a_dense_layer_without_relu() {
    let mut builder = Builder::new("toy", [1, 6, 6]);
    let conv = builder.conv(0, (2, 6, 1), Padding::Valid);
    builder.push(Operation::Flatten, &[conv]);
    let found = refusal(builder.0);
    assert!(
        found.contains("node2") && found.contains("only a dense layer can"),
        "{found}"
    );

    let mut builder = Builder::new("toy", [1, 6, 6]);
    let dense = builder.dense(0, 4);
    builder.relu(dense);
    let found = refusal(builder.0);
    assert!(
        found.contains("node3") && found.contains("ReLU of the last layer"),
        "{found}"
    );
}
