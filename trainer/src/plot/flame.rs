//! A profile as a picture like a flame graph: the whole inference, the layers on it, and on each
//! layer its functions. Widths are estimated cycles (the means of their bounds).

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::device::{FunctionShare, Profile, Share};
use crate::numbers::thousands;

/// Width and height in pixels.
const SIZE: (u32, u32) = (1200, 250);
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
    draw(title, profile, &mut text).map_err(|e| format!("the picture cannot be drawn: {e}"))?;
    Ok(super::marked(&text))
}

/// The result of drawing.
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(title: &str, profile: &Profile, text: &mut String) -> Drawn {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let picture = Picture {
        area,
        total: cycles(&profile.total).max(1.0),
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
    picture.area.present()?;
    Ok(())
}

/// Returns the mean of the bounds of the cycles of `share`.
fn cycles(share: &Share) -> f64 {
    f64::midpoint(share.cycles.0, share.cycles.1)
}

/// The area to draw on, and the cycles of its width.
struct Picture<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    total: f64,
}

impl Picture<'_> {
    /// Draws the box of `share` in `row` (0 is the top), from `start` cycles on.
    fn shape(
        &self,
        name: &str,
        share: &Share,
        (start, row): (f64, i32),
        colour: RGBColor,
    ) -> Drawn {
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
        for (line, label) in [name.to_owned(), format!("{part:.1} %")].iter().enumerate() {
            let room = usize::try_from((right - left - 8) / CHARACTER).unwrap_or(0);
            if room >= 3 {
                let label: String = label.chars().take(room).collect();
                let y = top + 17 + 18 * i32::try_from(line)?;
                self.write(&label, (left + 4, y), 13)?;
            }
        }
        Ok(())
    }

    /// Writes `text` from `point` on.
    fn write(&self, text: &str, point: (i32, i32), size: i32) -> Drawn {
        let style = ("sans-serif", size).into_font().color(&DARK);
        let style = style.pos(Pos::new(HPos::Left, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), point, style))?;
        Ok(())
    }
}
