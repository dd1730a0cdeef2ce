//! The bytes of a container as stacked bars: one bar per layer, split into positions, values,
//! biases and parameters, with a mark at the information limit of positions and values. The last
//! bar is the overhead that belongs to no layer.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::deploy::report::{LayerReport, ModelReport};
use crate::numbers::thousands;

/// Width in pixels.
const WIDTH: i32 = 960;
/// Left end of the bars and right end of the longest one.
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

/// Parts of a layer's bytes, in colours that are distinct for all kinds of colour vision (Okabe &
/// Ito 2008).
const PARTS: [(&str, RGBColor); 4] = [
    ("positions", RGBColor(0, 114, 178)),
    ("values", RGBColor(230, 159, 0)),
    ("biases", RGBColor(0, 158, 115)),
    ("parameters", RGBColor(204, 121, 167)),
];
/// Colour of the overhead.
const OVERHEAD: RGBColor = RGBColor(150, 150, 150);
const DARK: RGBColor = RGBColor(40, 40, 40);
const PALE: RGBColor = RGBColor(110, 110, 110);

/// Draws the bytes of the container that `model` reports, as SVG.
///
/// # Errors
/// Returns the plotting library's reason if the picture cannot be drawn.
pub fn svg(model: &ModelReport) -> Result<String, String> {
    let mut text = String::new();
    draw(model, &mut text).map_err(|e| format!("the picture cannot be drawn: {e}"))?;
    Ok(super::marked(&text))
}

/// The result of drawing.
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(model: &ModelReport, text: &mut String) -> Drawn {
    let count = i32::try_from(model.layers.len())?;
    let end = TOP + PITCH * (count + 1);
    let size = (u32::try_from(WIDTH)?, u32::try_from(end + BOTTOM)?);
    let area = SVGBackend::with_string(text, size).into_drawing_area();
    area.fill(&WHITE)?;
    let picture = Picture::new(area, model);
    picture.title_and_legend(model)?;
    picture.grid(end)?;
    let mut y = TOP;
    for layer in &model.layers {
        picture.layer(layer, y)?;
        y += PITCH;
    }
    picture.overhead(model, y)?;
    picture.area.present()?;
    Ok(())
}

/// The area to draw on, with its horizontal scale.
struct Picture<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    /// Bytes of the longest bar or limit.
    longest: usize,
}

impl<'a> Picture<'a> {
    fn new(area: DrawingArea<SVGBackend<'a>, Shift>, model: &ModelReport) -> Self {
        let longest = |layer: &LayerReport| layer.bytes.total.max(least(layer).ceil() as usize);
        let layers = model.layers.iter().map(longest);
        let longest = layers.max().unwrap_or(0).max(model.overhead_bytes).max(1);
        Self { area, longest }
    }

    /// Returns the x coordinate of `bytes`.
    fn x(&self, bytes: f64) -> i32 {
        let scale = f64::from(BARS.1 - BARS.0) / self.longest as f64;
        BARS.0 + (bytes * scale).round() as i32
    }

    /// Writes `text` so that its left end, right end or centre is at a point.
    fn write(
        &self,
        text: &str,
        (x, y): (i32, i32),
        (size, colour): (i32, RGBColor),
        side: HPos,
    ) -> Drawn {
        let style = ("sans-serif", size)
            .into_text_style(&self.area)
            .color(&colour);
        let style = style.pos(Pos::new(side, VPos::Center));
        Ok(self.area.draw_text(text, &style, (x, y))?)
    }

    /// Writes the label of the bar at `y`: the `name` on the left, `detail` on the right.
    fn label(&self, y: i32, name: &str, detail: &str) -> Drawn {
        self.write(name, (BARS.0, y + 10), (14, DARK), HPos::Left)?;
        self.write(detail, (BARS.1, y + 10), (12, PALE), HPos::Right)
    }

    /// Draws a segment of the bar at `y`, from one x coordinate to another.
    fn bar(&self, from: i32, to: i32, y: i32, colour: RGBColor) -> Drawn {
        let corners = [(from, y + LABEL), (to, y + LABEL + HEIGHT)];
        Ok(self.area.draw(&Rectangle::new(corners, colour.filled()))?)
    }

    /// Writes the length in bytes of the bar at `y`, to the right of `x`.
    fn length(&self, bytes: usize, x: i32, y: i32) -> Drawn {
        let point = (x + 8, y + LABEL + HEIGHT / 2);
        self.write(&thousands(bytes), point, (13, DARK), HPos::Left)
    }

    /// Draws the mark of a limit at `x`, from `y` down.
    fn mark(&self, x: i32, y: i32, height: i32) -> Drawn {
        // A white border makes the mark visible on every colour.
        for (width, colour) in [(2, WHITE), (1, BLACK)] {
            let corners = [(x - width, y), (x + width, y + height)];
            self.area.draw(&Rectangle::new(corners, colour.filled()))?;
        }
        Ok(())
    }

    /// Writes the title and, below it, the meaning of the colours and of the mark.
    fn title_and_legend(&self, model: &ModelReport) -> Drawn {
        let title = format!("{}: {} bytes", model.path, thousands(model.bytes));
        self.write(&title, (20, 24), (18, DARK), HPos::Left)?;
        let mut x = BARS.0;
        for (name, colour) in PARTS {
            let corners = [(x, 48), (x + 14, 62)];
            self.area.draw(&Rectangle::new(corners, colour.filled()))?;
            self.write(name, (x + 20, 55), (13, DARK), HPos::Left)?;
            x += 108;
        }
        self.mark(x, 46, 18)?;
        let limit = "information limit of positions and values";
        self.write(limit, (x + 10, 55), (13, DARK), HPos::Left)
    }

    /// Draws the vertical lines of the grid down to `end`, and the number of bytes below each.
    fn grid(&self, end: i32) -> Drawn {
        let grey = RGBColor(225, 225, 225);
        for bytes in (0..=self.longest).step_by(step(self.longest)) {
            let x = self.x(bytes as f64);
            let line = PathElement::new([(x, TOP), (x, end)], grey);
            self.area.draw(&line)?;
            let text = thousands(bytes);
            self.write(&text, (x, end + 14), (12, PALE), HPos::Center)?;
        }
        self.write("bytes", (BARS.1, end + 34), (13, PALE), HPos::Right)
    }

    /// Draws the bar of `layer` at `y`, with its label and limit.
    fn layer(&self, layer: &LayerReport, y: i32) -> Drawn {
        let detail = match layer.inputs * layer.outputs {
            0 => "no weights".into(),
            stored => format!(
                "{}: {} of {} weights, {}",
                layer.shape(),
                thousands(layer.nonzeros),
                thousands(stored),
                layer.encoding
            ),
        };
        self.label(y, &format!("{} {}", layer.layer, layer.operation), &detail)?;
        let bytes = &layer.bytes;
        let parts = [
            bytes.positions,
            bytes.values,
            bytes.biases,
            bytes.parameters,
        ];
        let mut from = 0;
        for (part, (_, colour)) in parts.into_iter().zip(PARTS) {
            self.bar(self.x(from as f64), self.x((from + part) as f64), y, colour)?;
            from += part;
        }
        if least(layer) > 0.0 {
            self.mark(self.x(least(layer)), y + LABEL - 3, HEIGHT + 6)?;
        }
        self.length(from, self.x(least(layer).max(from as f64)), y)
    }

    /// Draws, at `y`, the bar of the bytes that belong to no layer.
    fn overhead(&self, model: &ModelReport, y: i32) -> Drawn {
        let detail = format!(
            "including {} bytes of padding{}",
            thousands(model.padding_bytes),
            model
                .units
                .as_ref()
                .map_or_else(String::new, |units| format!(
                    " and {} of units",
                    thousands(units.bytes)
                ))
        );
        self.label(y, "header and layer records", &detail)?;
        let x = self.x(model.overhead_bytes as f64);
        self.bar(BARS.0, x, y, OVERHEAD)?;
        self.length(model.overhead_bytes, x, y)
    }
}

/// Returns the information limit of positions and values in bytes.
fn least(layer: &LayerReport) -> f64 {
    layer.limit.positions + layer.limit.values
}

/// Returns the distance between grid lines: a round number of bytes, for at most 6 lines after
/// zero.
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
        let title = format!("some/model.rfy: {} bytes", thousands(bytes.len()));
        for text in [
            &*title,
            "1 dense",
            "40 x 50: 1,200 of 2,000 weights, csr",
            "40 x 40: 1,600 of 1,600 weights, dense",
            "header and layer records",
            "information limit of positions and values",
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
