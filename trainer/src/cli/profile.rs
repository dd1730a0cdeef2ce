//! Formats profiles: instructions and cycles by layer and by function.

use super::table::{percent, table, text};
use crate::device::{FunctionShare, Profile, Share};
use crate::numbers::thousands;

/// Maximum number of functions to list.
const FUNCTIONS: usize = 12;

/// Formats `profile` as two tables, followed by the part of the instructions that the layers
/// explain.
pub(super) fn describe(profile: &Profile) -> String {
    let all = profile.total.instructions;
    let heads = [
        "by layer",
        "instructions",
        "",
        "predicted",
        "estimated cycles",
    ];
    let mut layers = table(heads);
    let mut row = |name: &str, share: &Share, predicted: f64| {
        let [instructions, part, cycles] = figures(share, all);
        let predicted = thousands(predicted.round() as u64);
        layers.add_row([name.to_owned(), instructions, part, predicted, cycles]);
    };
    for layer in &profile.layers {
        row(&layer.name, &layer.share, layer.predicted);
    }
    row("outside", &profile.outside, profile.outside_predicted);
    let layers_predicted = profile.layers.iter().map(|layer| layer.predicted);
    let predicted = layers_predicted.sum::<f64>() + profile.outside_predicted;
    row("total", &profile.total, predicted);
    let mut functions = table(["by function", "instructions", "", "estimated cycles"]);
    for FunctionShare { name, share } in profile.functions.iter().take(FUNCTIONS) {
        let [instructions, part, cycles] = figures(share, all);
        functions.add_row([name.clone(), instructions, part, cycles]);
    }
    let rest = profile.functions.iter().skip(FUNCTIONS);
    let others = Share::sum(rest.map(|function| function.share));
    let last = [("others", others), ("total", profile.total)];
    for (name, share) in last.iter().filter(|(_, share)| share.instructions > 0.0) {
        let [instructions, part, cycles] = figures(share, all);
        functions.add_row([(*name).to_owned(), instructions, part, cycles]);
    }
    format!(
        "{}\n{}\n  the layers explain {} of the instructions; figures are means over the images\n",
        text(&layers),
        text(&functions),
        percent(profile.explained())
    )
}

/// Formats the instructions, their part of `all`, and the cycles of `share`.
fn figures(share: &Share, all: f64) -> [String; 3] {
    let whole = |mean: f64| thousands(mean.round() as u64);
    let (low, high) = (whole(share.cycles.0), whole(share.cycles.1));
    [
        whole(share.instructions),
        percent(share.instructions / all.max(1.0)),
        if low == high {
            low
        } else {
            format!("{low} to {high}")
        },
    ]
}
