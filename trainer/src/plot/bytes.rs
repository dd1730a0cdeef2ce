//! Where the bytes of a container go: a bar a layer, cut into positions, values, biases and
//! parameters, with the information limit of the first two as a mark; below them what belongs to no
//! layer.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::deploy::report::{LayerReport, ModelReport};

/// Width in pixels.
const WIDTH: i32 = 960;
/// Where bars begin and where the longest ends.
const BARS: (i32, i32) = (20, 890);
/// Pixels above the first layer.
const TOP: i32 = 84;
/// Pixels from one layer to the next.
const PITCH: i32 = 54;
/// Pixels from a layer's label to its bar.
const LABEL: i32 = 22;
/// Pixels of a bar's height.
const HEIGHT: i32 = 20;
/// Pixels below the last layer.
const BOTTOM: i32 = 46;

/// What the bytes of a layer are for, in colours that people with any kind of colour vision tell
/// apart (Okabe & Ito 2008).
const PARTS: [(&str, RGBColor); 4] = [
    ("positions", RGBColor(0, 114, 178)),
    ("values", RGBColor(230, 159, 0)),
    ("biases", RGBColor(0, 158, 115)),
    ("parameters", RGBColor(204, 121, 167)),
];
/// The colour of what belongs to no layer.
const OVERHEAD: RGBColor = RGBColor(150, 150, 150);
const DARK: RGBColor = RGBColor(40, 40, 40);
const PALE: RGBColor = RGBColor(110, 110, 110);

/// The picture of the container that `model` reports.
///
/// # Errors
/// With the plotting library's reason when it cannot be drawn.
pub fn svg(model: &ModelReport) -> Result<String, String> {
    let mut text = String::new();
    draw(model, &mut text).map_err(|e| format!("the picture cannot be drawn: {e}"))?;
    Ok(text)
}

fn draw(model: &ModelReport, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let count = i32::try_from(model.layers.len())?;
    let end = TOP + PITCH * (count + 1);
    let size = (u32::try_from(WIDTH)?, u32::try_from(end + BOTTOM)?);
    let area = SVGBackend::with_string(text, size).into_drawing_area();
    area.fill(&WHITE)?;
    let write = |text: &str, (x, y): (i32, i32), size: i32, colour: RGBColor, side: HPos| {
        let style = ("sans-serif", size).into_text_style(&area).color(&colour);
        area.draw_text(text, &style.pos(Pos::new(side, VPos::Center)), (x, y))
    };
    let bar = |from: i32, to: i32, y: i32, colour: RGBColor| {
        let corners = [(from, y + LABEL), (to, y + LABEL + HEIGHT)];
        area.draw(&Rectangle::new(corners, colour.filled()))
    };

    let title = format!("{}: {} bytes", model.path, number(model.bytes));
    write(&title, (20, 24), 18, DARK, HPos::Left)?;
    let mut x = BARS.0;
    for (name, colour) in PARTS {
        area.draw(&Rectangle::new([(x, 48), (x + 14, 62)], colour.filled()))?;
        write(name, (x + 20, 55), 13, DARK, HPos::Left)?;
        x += 108;
    }
    mark(&area, x, 46, 18)?;
    write(
        "least for positions and values",
        (x + 10, 55),
        13,
        DARK,
        HPos::Left,
    )?;

    let longest = |layer: &LayerReport| layer.bytes.total.max(least(layer).ceil() as usize);
    let layers = model.layers.iter().map(longest);
    let longest = layers.max().unwrap_or(0).max(model.overhead_bytes).max(1);
    let scale = f64::from(BARS.1 - BARS.0) / longest as f64;
    let at = |bytes: f64| BARS.0 + (bytes * scale).round() as i32;
    let step = step(longest);
    for line in (0..=longest).step_by(step) {
        let x = at(line as f64);
        let grey = RGBColor(225, 225, 225);
        area.draw(&PathElement::new([(x, TOP), (x, end)], grey))?;
        write(&number(line), (x, end + 14), 12, PALE, HPos::Center)?;
    }
    write("bytes", (BARS.1, end + 34), 13, PALE, HPos::Right)?;

    let label = |y: i32, name: &str, detail: &str| {
        write(name, (BARS.0, y + 10), 14, DARK, HPos::Left)?;
        write(detail, (BARS.1, y + 10), 12, PALE, HPos::Right)
    };
    let mut y = TOP;
    for layer in &model.layers {
        let detail = match layer.inputs * layer.outputs {
            0 => "no weights".into(),
            stored => format!(
                "{}: {} of {} weights, {}",
                layer.shape(),
                number(layer.nonzeros),
                number(stored),
                layer.encoding
            ),
        };
        label(y, &format!("{} {}", layer.layer, layer.operation), &detail)?;
        let bytes = &layer.bytes;
        let parts = [
            bytes.positions,
            bytes.values,
            bytes.biases,
            bytes.parameters,
        ];
        let mut from = 0;
        for (part, (_, colour)) in parts.into_iter().zip(PARTS) {
            bar(at(from as f64), at((from + part) as f64), y, colour)?;
            from += part;
        }
        if least(layer) > 0.0 {
            mark(&area, at(least(layer)), y + LABEL - 3, HEIGHT + 6)?;
        }
        let x = at(least(layer).max(from as f64)) + 8;
        write(
            &number(from),
            (x, y + LABEL + HEIGHT / 2),
            13,
            DARK,
            HPos::Left,
        )?;
        y += PITCH;
    }
    let detail = format!("{} of it padding", number(model.padding_bytes));
    label(y, "header and layer records", &detail)?;
    let x = at(model.overhead_bytes as f64);
    bar(BARS.0, x, y, OVERHEAD)?;
    let bytes = number(model.overhead_bytes);
    write(
        &bytes,
        (x + 8, y + LABEL + HEIGHT / 2),
        13,
        DARK,
        HPos::Left,
    )?;
    area.present()?;
    Ok(())
}

/// The area drawn on.
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The mark of a limit at `x`, from `y` down.
fn mark(area: &Area<'_>, x: i32, y: i32, height: i32) -> Result<(), Box<dyn std::error::Error>> {
    // White beside black: it is seen on every colour.
    let line = |width| Rectangle::new([(x - width, y), (x + width, y + height)], WHITE.filled());
    area.draw(&line(2))?;
    area.draw(&Rectangle::new(
        [(x - 1, y), (x + 1, y + height)],
        BLACK.filled(),
    ))?;
    Ok(())
}

/// The fewest bytes for positions and values.
fn least(layer: &LayerReport) -> f64 {
    layer.limit.positions + layer.limit.values
}

/// A round number of bytes between the lines of the grid: at most 6 lines up to `longest`.
fn step(longest: usize) -> usize {
    let mut decade = 1;
    loop {
        for step in [1, 2, 5].map(|digit| digit * decade) {
            if longest / step <= 6 {
                return step;
            }
        }
        decade *= 10;
    }
}

/// "4,568".
fn number(bytes: usize) -> String {
    let mut text = bytes.to_string();
    let mut at = text.len();
    while at > 3 {
        at -= 3;
        text.insert(at, ',');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rarefy_format::{Encoding, LayerSpec, Model, NetworkSpec, Shape, write};

    use super::*;
    use crate::deploy::costs::Core;
    use crate::deploy::report::report;

    #[test]
    fn every_layer_and_every_part_of_it_is_in_the_picture() {
        let rows = |columns: u16| vec![(0..columns).map(|c| (c, 3)).collect(); 40];
        let network = NetworkSpec {
            input: Shape::flat(50),
            layers: vec![
                LayerSpec::dense(Encoding::Csr, 3, vec![1; 40], rows(30)),
                LayerSpec::dense(Encoding::Dense, 0, vec![1; 40], rows(40)),
            ],
        };
        let bytes = write(&network).unwrap();
        let model = Model::parse(&bytes).unwrap();
        let report = report(&model, Path::new("some/model.rfy"), Core::M4, None);
        let svg = svg(&report).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        let title = format!("some/model.rfy: {} bytes", number(bytes.len()));
        for text in [
            &*title,
            "1 dense",
            "40 x 50: 1,200 of 2,000 weights, csr",
            "40 x 40: 1,600 of 1,600 weights, dense",
            "header and layer records",
            "least for positions and values",
            "3,840",
            "1,760",
            "32",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        // A square in the legend and a bar for each part that the layers have.
        for ((name, colour), bars) in PARTS.into_iter().zip([2, 3, 3, 1]) {
            assert!(svg.contains(name), "{name}");
            let RGBColor(r, g, b) = colour;
            let colour = format!("fill=\"#{r:02X}{g:02X}{b:02X}\"");
            let drawn = svg.lines().filter(|line| line.contains(&colour));
            let wide = drawn.filter(|line| !line.contains("width=\"0\""));
            assert_eq!(wide.count(), bars, "{name}");
        }
    }

    #[test]
    fn lines_of_the_grid_are_round_and_few() {
        assert_eq!(
            [1, 7, 60, 3_840, 267_904].map(step),
            [1, 2, 10, 1_000, 50_000]
        );
    }
}
