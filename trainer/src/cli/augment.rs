//! The value of `--augment`: a list of changes to images.

use crate::data::augment::{Augmentation, Elastic, Fill};

/// Parses changes to images such as `rotation=10,flip`.
pub(super) fn parse(text: &str) -> Result<Augmentation, String> {
    let mut found = Augmentation::default();
    for change in text.split(',').map(str::trim) {
        let (name, value) = match change.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
            None => (change, None),
        };
        let number = || -> Result<f64, String> {
            let value = value.ok_or_else(|| format!("{name} needs a number, as in {name}=2"))?;
            value
                .parse()
                .map_err(|_| format!("{value:?} is not a number"))
        };
        match name {
            "rotation" => found.rotation = number()?,
            "shift" => found.shift = number()?,
            "scale" => found.scale = number()?,
            "crop" => {
                let pixels = number()?;
                if pixels.fract() != 0.0 || pixels < 0.0 {
                    return Err(format!("crop {pixels} is not a whole number of pixels"));
                }
                found.crop = pixels as usize;
            }
            "fill" => {
                found.fill = match value {
                    Some("black") => Fill::Black,
                    Some("edge") => Fill::Edge,
                    _ => return Err(format!("{change:?} is not fill=black or fill=edge")),
                }
            }
            "flip" if value.is_none() => found.flip = true,
            "elastic" => {
                let mut elastic = Elastic::default();
                if value.is_some() {
                    elastic.alpha = number()?;
                }
                found.elastic = Some(elastic);
            }
            _ => {
                return Err(format!(
                    "{change:?} is not one of rotation=DEGREES, shift=PIXELS, scale=SHARE, elastic, elastic=ALPHA, flip, crop=PIXELS, fill=black, fill=edge"
                ));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_images_are_parsed_from_a_list() {
        let found = parse("rotation=10,shift=2.5,flip,crop=4,elastic=20").unwrap();
        assert_eq!((found.rotation, found.shift, found.crop), (10.0, 2.5, 4));
        assert!(found.flip);
        assert_eq!(found.elastic.unwrap().alpha, 20.0);
        assert_eq!(found.fill, Fill::Black);
        assert_eq!(parse("crop=3,fill=edge").unwrap().fill, Fill::Edge);
        let spaced = parse(" rotation = 10, shift =2.5 ,flip, crop= 4,elastic=20 ");
        assert_eq!(spaced, Ok(found));
        for (text, words) in [
            ("fill=white", "fill=black or fill=edge"),
            ("blur", "rotation=DEGREES"),
            ("shift", "shift needs a number"),
            ("shift=far", "not a number"),
            ("crop=1.5", "whole number"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
