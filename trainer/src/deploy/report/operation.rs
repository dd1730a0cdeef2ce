//! Describes a layer's operation: its window, its pooling, its source if that is not the previous
//! layer, and its skip.

use rarefy_format::{Layer, Margin, Operation, Pooling, Window};

/// Returns the number, from 1, of the layer that is `back` layers before `layer`; 0 for the
/// network's input.
pub(super) fn number_of(layer: &Layer<'_>, back: u8) -> usize {
    layer.index() + 1 - usize::from(back)
}

/// Returns a description of the operation of `layer`.
pub(super) fn operation(layer: &Layer<'_>) -> String {
    let mut text = match layer.operation() {
        Operation::Dense => "dense".into(),
        Operation::Conv { window, pooling } => {
            let mut text = format!("conv {}", slide(window));
            if let Some((kind, size)) = pooling {
                text += &format!(", {} {size}", name(kind));
            }
            text
        }
        Operation::Pool { pooling, window } => format!("{} {}", name(pooling), slide(window)),
    };
    let Some(links) = layer.links() else {
        return text;
    };
    let place = |back| match number_of(layer, back) {
        0 => "the input".into(),
        number => format!("layer {number}"),
    };
    if links.source != 1 {
        text += &format!(", of {}", place(links.source));
    }
    if links.skip != 0 {
        text += &format!(", plus {}", place(links.skip));
    }
    text
}

fn name(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Max => "max",
        Pooling::Average => "average",
    }
}

/// Formats a window, such as "5x5, stride 2, padding 1" or "10x4, stride 2x1".
fn slide(window: Window) -> String {
    let Window {
        size,
        stride,
        padding,
    } = window;
    let mut text = format!("{}x{}", size[0], size[1]);
    match stride {
        [1, 1] => {}
        [down, across] if down == across => text += &format!(", stride {down}"),
        [down, across] => text += &format!(", stride {down}x{across}"),
    }
    let Margin {
        top,
        left,
        bottom,
        right,
    } = padding;
    if [left, bottom, right].iter().any(|&side| side != top) {
        text += &format!(", padding {top}/{left}/{bottom}/{right}");
    } else if top != 0 {
        text += &format!(", padding {top}");
    }
    text
}
