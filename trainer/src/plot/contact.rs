//! A contact sheet: a few images of each class of a dataset, a row per class.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use crate::data::{Dataset, Split};

/// Pixels of the picture to the left of the images, where the names of the classes are.
const MARGIN: u32 = 120;
/// Pixels around the images.
const EDGE: u32 = 16;
/// Pixels of the picture between two images.
const GAP: u32 = 4;
/// The length in pixels up to which an image's longer side is magnified, by a whole factor.
const LENGTH: u32 = 56;
/// The least height of an image in pixels, so that an image of a single row is visible.
const HEIGHT: u32 = 16;
/// The maximum number of characters of a class name in the picture.
const MOST_CHARACTERS: usize = 16;

/// Draws up to `examples` training images of each class, evenly spaced over all of the class, as
/// SVG. Images of three channels are in colour; of others, the first channel is drawn.
///
/// # Errors
/// Returns the reason if the picture cannot be drawn.
pub fn svg(data: &Dataset, examples: usize) -> Result<String, String> {
    // Without classes, all samples have the label 0.
    let classes = if data.has_targets() { 1 } else { data.classes };
    let rows: Vec<Vec<usize>> = (0..classes)
        .map(|it| chosen(&data.train, it, examples))
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let [_, height, width] = data.train.shape().map(|length| length as u32);
    let scale = (LENGTH / height.max(width)).max(1);
    let cell = [width * scale, (height * scale).max(HEIGHT)];
    let [right, down] = cell.map(|length| length + GAP);
    let size = [columns as u32 * right, rows.len() as u32 * down].map(|length| length.max(1));
    let mut sheet = RgbImage::from_pixel(size[0], size[1], Rgb([255; 3]));
    let mut names = String::new();
    for (row, images) in rows.iter().enumerate() {
        let top = row as u32 * down;
        let middle = EDGE + top + cell[1] / 2 + 4;
        let name = escaped(&class_name(data, row));
        names += &format!(
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{name}</text>\n",
            MARGIN - 8
        );
        for (column, &index) in images.iter().enumerate() {
            let place = [column as u32 * right, top];
            draw(&mut sheet, (&data.train, index), place, cell);
        }
    }
    let mut png = Cursor::new(Vec::new());
    let encoded = sheet.write_to(&mut png, ImageFormat::Png);
    encoded.map_err(|error| format!("the picture cannot be drawn: {error}"))?;
    let [width, height] = size;
    let (whole_width, whole_height) = (MARGIN + width + EDGE, height + 2 * EDGE);
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole_width}\" height=\"{whole_height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{names}\
         <image x=\"{MARGIN}\" y=\"{EDGE}\" width=\"{width}\" height=\"{height}\" href=\"data:image/png;base64,{}\"/>\n</svg>\n",
        base64(&png.into_inner())
    );
    Ok(super::marked(&svg))
}

/// Returns the name of the class `label`, or its number, in at most [`MOST_CHARACTERS`]; nothing if
/// targets are numbers.
fn class_name(data: &Dataset, label: usize) -> String {
    if data.has_targets() {
        return String::new();
    }
    match data.class_names.get(label) {
        Some(name) if name.chars().count() > MOST_CHARACTERS => name
            .chars()
            .take(MOST_CHARACTERS - 1)
            .chain(['…'])
            .collect(),
        Some(name) => name.clone(),
        None => label.to_string(),
    }
}

/// Returns the indices of at most `count` images of the class `label`, evenly spaced over all of
/// them.
fn chosen(split: &Split, label: usize, count: usize) -> Vec<usize> {
    let is_of = |&index: &usize| usize::from(split.label(index)) == label;
    let all: Vec<usize> = (0..split.len()).filter(is_of).collect();
    let count = count.min(all.len());
    (0..count).map(|at| all[at * all.len() / count]).collect()
}

/// Draws the image at an index of a split in the rectangle of size `cell` at `place`.
fn draw(sheet: &mut RgbImage, (split, index): (&Split, usize), place: [u32; 2], cell: [u32; 2]) {
    let ([channels, height, width], image) = (split.shape(), split.image(index));
    for y in 0..cell[1] {
        for x in 0..cell[0] {
            let column = x as usize * width / cell[0] as usize;
            let row = y as usize * height / cell[1] as usize;
            let value = |channel: usize| image[(channel * height + row) * width + column];
            let pixel = match channels {
                3 => [0, 1, 2].map(value),
                _ => [value(0); 3],
            };
            sheet.put_pixel(place[0] + x, place[1] + y, Rgb(pixel));
        }
    }
}

/// Escapes `text` for SVG and removes its control characters.
fn escaped(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.chars()
        .filter(|character| !character.is_control())
        .collect()
}

/// Returns `bytes` in base 64 (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(padded);
        for digit in 0..4 {
            text.push(match digit <= group.len() {
                true => DIGITS[((bits >> (18 - 6 * digit)) & 63) as usize].into(),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Normalisation, Reading};

    #[test]
    fn base64_has_the_vectors_of_its_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_sheet_has_the_images_of_each_class_in_its_row() {
        // Two classes of images of one pixel: those of class 0 are dark.
        let (images, labels) = (vec![10, 200, 20, 210, 30], vec![0, 1, 0, 1, 0]);
        let train = Split::new(images, labels, [1, 1, 1]);
        let data = Dataset {
            name: "a".into(),
            test: train.clone(),
            train,
            normalisation: Normalisation::published(0.5, 0.5),
            classes: 2,
            class_names: vec!["<a>".into(), "a name that is too long".into()],
            reading: Reading::default(),
            notes: Vec::new(),
        };
        assert_eq!(chosen(&data.train, 0, 2), [0, 2]);
        let text = svg(&data, 2).unwrap();
        assert!(crate::plot::is_ours(text.as_bytes()));
        assert!(text.contains(">&lt;a&gt;</text>") && text.contains(">a name that is …</text>"));
        let mut sheet = RgbImage::new(116, 120);
        draw(&mut sheet, (&data.train, 3), [60, 60], [56, 56]);
        assert_eq!(sheet.get_pixel(60, 60).0, [210; 3]);
        assert_eq!(sheet.get_pixel(115, 115).0, [210; 3]);
        assert_eq!(
            (sheet.get_pixel(59, 60).0, sheet.get_pixel(60, 116).0),
            ([0; 3], [0; 3])
        );
    }
}
