//! Draws a profile like a flame graph: the whole inference at the bottom, the layers above it, and
//! above each layer its functions. Widths are estimated cycles (the means of their bounds). The
//! title of each box, which viewers show as a tooltip, states its numbers.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::device::{FunctionShare, Profile, Share};
use crate::numbers::thousands;

/// Width and height in pixels.
const SIZE: (u32, u32) = (1200, 260);
/// Left and right end of the widest box.
const BOXES: (i32, i32) = (20, 1180);
/// Pixels above the functions.
const TOP: i32 = 60;
/// Pixels from one row to the next, and of a box's height.
const PITCH: i32 = 54;
const HEIGHT: i32 = 50;
/// Pixels that a character takes, at most, in a label.
const CHARACTER: i32 = 7;

/// Colours of neighbouring boxes, distinct for all kinds of colour vision (Okabe & Ito 2008).
const COLOURS: [RGBColor; 4] = [
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(240, 228, 66),
    RGBColor(204, 121, 167),
];
/// Colours of the whole inference and of what belongs to no layer.
const TOTAL: RGBColor = RGBColor(200, 200, 200);
const OUTSIDE: RGBColor = RGBColor(225, 225, 225);
const DARK: RGBColor = RGBColor(40, 40, 40);

/// Draws `profile` under `title`, as SVG.
///
/// # Errors
/// Returns the plotting library's reason if the picture cannot be drawn.
pub fn svg(title: &str, profile: &Profile) -> Result<String, String> {
    let mut text = String::new();
    let titles = draw(&printable(title), profile, &mut text)
        .map_err(|e| format!("the picture cannot be drawn: {e}"))?;
    let end = text.rfind("</svg>").unwrap_or(text.len());
    text.insert_str(end, &titles);
    Ok(super::marked(&text))
}

/// Returns `text` with control characters escaped, which XML does not allow.
fn printable(text: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

/// Escapes `text` for use as the content of an XML element.
fn markup(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// The result of drawing.
type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

/// Draws everything but the titles of the boxes, which are returned.
fn draw(title: &str, profile: &Profile, text: &mut String) -> Drawn<String> {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut picture = Picture {
        area,
        total: cycles(&profile.total).max(1.0),
        titles: String::new(),
    };
    let heading = format!(
        "{title}: {} instructions, {} to {} estimated cycles",
        thousands(profile.total.instructions.round() as u64),
        thousands(profile.total.cycles.0.round() as u64),
        thousands(profile.total.cycles.1.round() as u64)
    );
    picture.write(&heading, (BOXES.0, 28), 18)?;
    picture.shape("whole inference", &profile.total, (0.0, 2), TOTAL)?;
    let mut at = 0.0;
    for (index, layer) in profile.layers.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        picture.shape(&layer.name, &layer.share, (at, 1), colour)?;
        let mut inner = at;
        for FunctionShare { name, share } in &layer.functions {
            picture.shape(name, share, (inner, 0), colour)?;
            inner += cycles(share);
        }
        at += cycles(&layer.share);
    }
    picture.shape("outside", &profile.outside, (at, 1), OUTSIDE)?;
    let caption = "widths are estimated cycles: the means of their bounds";
    picture.write(caption, (BOXES.0, 244), 13)?;
    picture.area.present()?;
    Ok(picture.titles)
}

/// Returns the mean of the bounds of the cycles of `share`.
fn cycles(share: &Share) -> f64 {
    f64::midpoint(share.cycles.0, share.cycles.1)
}

/// The area to draw on, the number of cycles that the widest box stands for, and the titles of the
/// boxes as SVG.
struct Picture<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    total: f64,
    titles: String,
}

impl Picture<'_> {
    /// Draws the box of `share` in `row` (0 is the top), from `start` cycles on.
    fn shape(
        &mut self,
        name: &str,
        share: &Share,
        (start, row): (f64, i32),
        colour: RGBColor,
    ) -> Drawn<()> {
        let name = printable(name);
        let scale = f64::from(BOXES.1 - BOXES.0) / self.total;
        let x = |cycles: f64| BOXES.0 + (cycles * scale).round() as i32;
        let (left, right) = (x(start), x(start + cycles(share)));
        if right <= left {
            return Ok(());
        }
        let top = TOP + row * PITCH;
        let corners = [(left, top), (right, top + HEIGHT)];
        self.area.draw(&Rectangle::new(corners, colour.filled()))?;
        self.area.draw(&Rectangle::new(corners, WHITE))?;
        let part = 100.0 * cycles(share) / self.total;
        for (line, label) in [name.clone(), format!("{part:.1} %")].iter().enumerate() {
            let room = usize::try_from((right - left - 8) / CHARACTER).unwrap_or(0);
            if room >= 3 {
                let label: String = label.chars().take(room).collect();
                let y = top + 17 + 18 * i32::try_from(line)?;
                self.write(&label, (left + 4, y), 13)?;
            }
        }
        let figures = format!(
            "{name}: {part:.1} %, {} instructions, {} to {} estimated cycles",
            thousands(share.instructions.round() as u64),
            thousands(share.cycles.0.round() as u64),
            thousands(share.cycles.1.round() as u64)
        );
        self.titles += &format!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{HEIGHT}\" fill-opacity=\"0\"><title>{}</title></rect>\n",
            right - left,
            markup(&figures)
        );
        Ok(())
    }

    /// Writes `text` from `point` on.
    fn write(&self, text: &str, point: (i32, i32), size: i32) -> Drawn<()> {
        let style = ("sans-serif", size).into_font().color(&DARK);
        let style = style.pos(Pos::new(HPos::Left, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), point, style))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_box_has_a_title_and_no_name_breaks_the_picture() {
        let share = |instructions: f64| Share {
            instructions,
            cycles: (instructions, 3.0 * instructions),
        };
        let function = |name: &str, instructions| FunctionShare {
            name: name.to_owned(),
            share: share(instructions),
        };
        let profile = Profile {
            total: share(1_000.0),
            layers: Vec::new(),
            outside: share(990.0),
            outside_predicted: 0.0,
            functions: vec![function("a", 990.0)],
        };
        let layer = crate::device::LayerProfile {
            name: "1 <dense>\u{1b}[2J & more".to_owned(),
            share: share(10.0),
            predicted: 10.0,
            functions: vec![function("words::row", 10.0)],
        };
        let profile = Profile {
            layers: vec![layer],
            ..profile
        };
        let svg = svg("m\u{7}.rfy on b", &profile).unwrap();
        assert!(
            !svg.contains(|c: char| c.is_control() && c != '\n'),
            "{svg}"
        );
        // The layer and its function are too narrow for a label.
        for title in [
            "<title>whole inference: 100.0 %, 1,000 instructions, 1,000 to 3,000 estimated cycles</title>",
            "<title>1 &lt;dense&gt;\\u{1b}[2J &amp; more: 1.0 %, 10 instructions, 10 to 30 estimated cycles</title>",
            "<title>words::row: 1.0 %, ",
            "widths are estimated cycles",
            "m\\u{7}.rfy on b",
        ] {
            assert!(svg.contains(title), "{title}: {svg}");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }
}
