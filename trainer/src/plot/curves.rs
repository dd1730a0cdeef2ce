//! Plots effective against direct compression on logarithmic axes: one line per pruner, and the
//! diagonal, on which all weights of a mask are effective (none is detached).

use plotters::coord::combinators::{IntoLogRange, LogCoord};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::numbers::thousands;
use crate::pruning::curve::Curve;

/// Width and height in pixels.
const SIZE: (u32, u32) = (720, 520);

/// Colours that are distinct for all kinds of colour vision (Okabe & Ito 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];

/// Plots the `curves` of the architecture `arch`, as SVG.
///
/// # Errors
/// Returns the plotting library's reason if the picture cannot be drawn.
pub fn svg(arch: &str, curves: &[Curve]) -> Result<String, String> {
    let mut text = String::new();
    draw(arch, curves, &mut text).map_err(|e| format!("the picture cannot be drawn: {e}"))?;
    Ok(super::marked(&text))
}

/// The result of drawing.
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The area and its logarithmic axes.
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;

fn draw(arch: &str, curves: &[Curve], text: &mut String) -> Drawn {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || curves.iter().flat_map(Curve::compressions);
    // Whole decades, so that the axes begin and end at a labelled line.
    let decade = |most: f64| 10_f64.powf(most.max(10.0).log10().ceil());
    let (direct, effective) = (
        decade(points().map(|(direct, _)| direct).fold(1.0, f64::max)),
        decade(points().map(|(_, effective)| effective).fold(1.0, f64::max)),
    );
    let mut chart = ChartBuilder::on(&area)
        .caption(
            format!("{arch}: effective against direct compression"),
            ("sans-serif", 18),
        )
        .margin(12)
        .margin_right(44)
        .margin_bottom(24)
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d((1.0..direct).log_scale(), (1.0..effective).log_scale())?;
    axes(&mut chart)?;
    diagonal(&mut chart, direct.min(effective))?;
    for (curve, &colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        line(&mut chart, curve, colour)?;
    }
    legend(&mut chart)?;
    let note = ("sans-serif", 12)
        .into_text_style(&area)
        .color(&RGBColor(110, 110, 110))
        .pos(Pos::new(HPos::Right, VPos::Bottom));
    area.draw_text(
        "a dot marks the last point with a path from input to output",
        &note,
        (SIZE.0 as i32 - 12, SIZE.1 as i32 - 4),
    )?;
    area.present()?;
    Ok(())
}

/// Draws the axes and the grid.
fn axes(chart: &mut Chart<'_, '_>) -> Drawn {
    chart
        .configure_mesh()
        .x_desc("direct compression")
        .y_desc("effective compression")
        .axis_desc_style(("sans-serif", 15))
        .label_style(("sans-serif", 13))
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .bold_line_style(RGBColor(210, 210, 210))
        .light_line_style(RGBColor(238, 238, 238))
        .draw()?;
    Ok(())
}

/// Draws the diagonal from 1 to `end`, on which masks without detached weights lie.
fn diagonal(chart: &mut Chart<'_, '_>, end: f64) -> Drawn {
    let grey = RGBColor(150, 150, 150);
    let ends = [(1.0, 1.0), (end, end)];
    chart
        .draw_series(DashedLineSeries::new(ends, 6, 5, grey.into()))?
        .label("no detached weights")
        .legend(move |(x, y)| DashedPathElement::new([(x, y), (x + 22, y)], 6, 5, grey));
    Ok(())
}

/// Draws the line of one pruner, with a dot at its end if the next mask is disconnected.
fn line(chart: &mut Chart<'_, '_>, curve: &Curve, colour: RGBColor) -> Drawn {
    let style = colour.stroke_width(2);
    chart
        .draw_series(LineSeries::new(curve.compressions(), style))?
        .label(&curve.pruner)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
    if let (true, Some(last)) = (curve.falls_apart, curve.compressions().last()) {
        chart.draw_series([Circle::new(last, 4, colour.filled())])?;
    }
    Ok(())
}

/// Draws the legend.
fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>) -> Drawn {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .label_font(("sans-serif", 13))
        .legend_area_size(30)
        .margin(8)
        .draw()?;
    Ok(())
}

/// Formats a compression: "100x", "10,000x".
fn label(compression: &f64) -> String {
    thousands(compression.round() as u64) + "x"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pruning::curve::Point;

    #[test]
    fn every_pruner_is_in_the_picture() {
        let curve = |name: &str, effective: usize| Curve {
            pruner: name.into(),
            total: 100_000,
            points: vec![
                Point {
                    direct: 100_000,
                    effective: 100_000,
                },
                Point {
                    direct: 1000,
                    effective,
                },
            ],
            falls_apart: true,
        };
        let curves = [curve("random/igq", 900), curve("synflow", 1000)];
        let svg = svg("toy", &curves).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in ["random/igq", "synflow", "1,000x", "toy"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(label(&10_000.0), "10,000x");
    }
}
