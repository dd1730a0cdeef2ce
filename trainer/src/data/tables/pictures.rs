//! Reads a folder of PNG and JPEG pictures, with a folder per class.
//!
//! The classes are the names of the folders, in alphabetical order. A folder `train` and a folder
//! `test` with the same classes are the parts of the dataset. Pictures have one channel if all are
//! grey, and three otherwise; transparency is ignored. Other files are left out, which is noted.

use std::fs;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader};

use super::array::Values;
use super::classes;
use super::error::TableError;
use super::part::{Labels, Parts, Rows, Written};
use crate::atomic::FileError;
use crate::data::dataset::Note;
use crate::data::reading::{Extent, Reading};

/// The endings of pictures.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The pictures of a part, all of one size.
struct Pictures {
    folder: String,
    /// The pixels of all pictures, red, green and blue planes of each one after another.
    planes: Vec<u8>,
    /// The class of each picture.
    labels: Vec<String>,
    /// Whether all pictures are grey.
    is_grey: bool,
    /// The first picture and its size, (width, height).
    first: (PathBuf, [u32; 2]),
    /// What is no picture where one is expected.
    others: Vec<PathBuf>,
}

/// Checks whether `folder`, or its part `train`, has subfolders with pictures.
pub(super) fn is_one(folder: &Path) -> bool {
    has_classes(folder) || has_classes(&folder.join("train"))
}

/// Checks whether a subfolder of `folder` has a picture.
fn has_classes(folder: &Path) -> bool {
    let classes = entries(folder).unwrap_or_default();
    let mut pictures = classes
        .iter()
        .map(|class| pictures(class).unwrap_or_default());
    pictures.any(|(found, _)| !found.is_empty())
}

/// Reads the dataset in `folder`.
///
/// # Errors
/// Returns an error that names the picture that cannot be read or has another size, or the class
/// without pictures.
pub(super) fn read(folder: &Path, reading: &Reading) -> Result<Parts, TableError> {
    let (train, test) = match has_classes(&folder.join("train")) {
        true => (folder.join("train"), Some(folder.join("test"))),
        false => (folder.to_owned(), None),
    };
    let test = test.filter(|test| test.exists());
    let train = Pictures::read(&train, reading)?;
    let test = test
        .map(|test| Pictures::read(&test, reading))
        .transpose()?;
    let [width, height] = train.first.1.map(|length| length as usize);
    if let Some(test) = &test {
        check_size(&test.first, &train.first)?;
    }
    let parts = [Some(&train), test.as_ref()];
    let notes = parts.into_iter().flatten().filter_map(Pictures::note);
    let notes = notes.collect();
    let is_grey = train.is_grey && test.as_ref().is_none_or(|test| test.is_grey);
    let train = train.written(is_grey);
    let test = test.map(|test| test.written(is_grey));
    let (train, test, class_names) = classes::named_alike(train, test, &reading.class_names)?;
    Ok(Parts {
        train,
        test,
        shape: [if is_grey { 1 } else { 3 }, height, width],
        is_flat: false,
        class_names,
        label: None,
        notes,
    })
}

/// Returns the paths in `folder`, except hidden ones, in the order of their names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, TableError> {
    let failed = |error| FileError::new("list", folder, error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Returns the pictures in `folder`, and what else is in it; nothing if it is a file.
fn pictures(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), TableError> {
    if !folder.is_dir() {
        return Ok((Vec::new(), Vec::new()));
    }
    let is_picture = |path: &PathBuf| {
        let ending = path
            .extension()
            .map(|it| it.to_string_lossy().to_ascii_lowercase());
        ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) && path.is_file()
    };
    Ok(entries(folder)?.into_iter().partition(is_picture))
}

/// Formats how many things of a kind there are, and the first of them; `None` if there are none.
fn counted(paths: &[&PathBuf], [one, many]: [&str; 2]) -> Option<String> {
    let first = paths.first()?.display();
    Some(match paths.len() {
        1 => format!("1 {one} ({first})"),
        count => format!("{count} {many} (the first is {first})"),
    })
}

/// Checks that the picture `found` has the size of the picture `first`.
fn check_size(found: &(PathBuf, [u32; 2]), first: &(PathBuf, [u32; 2])) -> Result<(), TableError> {
    if found.1 == first.1 {
        return Ok(());
    }
    let [size, other] = [found, first].map(|(_, [width, height])| format!("{width} x {height}"));
    Err(TableError::Sizes {
        picture: found.0.display().to_string(),
        size,
        first: first.0.display().to_string(),
        other,
    })
}

impl Pictures {
    /// Reads the pictures in the folders of `folder`.
    fn read(folder: &Path, reading: &Reading) -> Result<Self, TableError> {
        let mut found: Option<Self> = None;
        let (classes, mut others): (Vec<_>, Vec<_>) =
            entries(folder)?.into_iter().partition(|path| path.is_dir());
        for class in classes {
            let name = class
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let (paths, beside) = pictures(&class)?;
            others.extend(beside);
            if paths.is_empty() {
                let advice = "put PNG or JPEG files there, or remove the folder";
                return Err(TableError::new(
                    class.display().to_string(),
                    "has no pictures",
                    advice,
                ));
            }
            for path in paths {
                let picture = decode(&path, reading.resize)?;
                let first = (path, [picture.width(), picture.height()]);
                let all = found.get_or_insert_with(|| Self {
                    folder: folder.display().to_string(),
                    planes: Vec::new(),
                    labels: Vec::new(),
                    is_grey: true,
                    first: first.clone(),
                    others: Vec::new(),
                });
                check_size(&first, &all.first)?;
                all.is_grey &= !picture.color().has_color();
                all.labels.push(name.clone());
                let pixels = picture.into_rgb8();
                for channel in 0..3 {
                    all.planes
                        .extend(pixels.pixels().map(|pixel| pixel.0[channel]));
                }
            }
        }
        let found = found.ok_or_else(|| {
            let advice = "put a folder of PNG or JPEG files per class there";
            TableError::new(folder.display().to_string(), "has no pictures", advice)
        })?;
        Ok(Self { others, ..found })
    }

    /// Returns a note on what was left out, if anything was.
    fn note(&self) -> Option<Note> {
        let others = |kind: &dyn Fn(&Path) -> bool| -> Vec<&PathBuf> {
            self.others.iter().filter(|path| kind(path)).collect()
        };
        let kinds = [
            counted(
                &others(&Path::is_file),
                [
                    "file that is no PNG or JPEG picture of a class",
                    "files that are no PNG or JPEG pictures of a class",
                ],
            ),
            counted(
                &others(&Path::is_dir),
                ["folder within a class", "folders within classes"],
            ),
            counted(
                &others(&|path| !path.is_file() && !path.is_dir()),
                [
                    "link or device that is no file",
                    "links or devices that are no files",
                ],
            ),
        ];
        let kinds: Vec<String> = kinds.into_iter().flatten().collect();
        (!kinds.is_empty()).then(|| Note {
            text: format!("warning: {}: left out {}", self.folder, kinds.join(", ")),
            column: None,
        })
    }

    /// Returns the pictures with one channel if `is_grey`, and three otherwise.
    fn written(self, is_grey: bool) -> Written {
        let [width, height] = self.first.1.map(|length| length as usize);
        let planes = match is_grey {
            true => {
                let planes = self.planes.chunks_exact(width * height);
                planes.step_by(3).flatten().copied().collect()
            }
            false => self.planes,
        };
        Written {
            values: Values::Bytes(planes),
            labels: Labels::Names(self.labels),
            targets: Vec::new(),
            rows: Rows::Folders(self.folder),
        }
    }
}

/// Reads the picture at `path`, and resizes it if asked to.
fn decode(path: &Path, resize: Option<Extent<2>>) -> Result<DynamicImage, TableError> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let reader = reader.map_err(|error| TableError::read(path, error))?;
    let picture = reader.decode().map_err(|error| {
        let problem = format!("is no whole PNG or JPEG picture ({error})");
        TableError::new(path.display().to_string(), problem, "replace or remove it")
    })?;
    Ok(match resize {
        Some(Extent([height, width])) => {
            picture.resize_exact(width as u32, height as u32, FilterType::Triangle)
        }
        None => picture,
    })
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage};

    use super::*;

    /// Writes a grey picture of the given size whose first pixel is `value`.
    fn grey(path: &Path, [width, height]: [u32; 2], value: u8) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let pixel = |x, y| Luma([value + (x + 10 * y) as u8]);
        GrayImage::from_fn(width, height, pixel).save(path).unwrap();
    }

    fn read_all(folder: &Path) -> Result<Parts, String> {
        let parts = read(folder, &Reading::default());
        parts.map_err(|error| error.to_string())
    }

    #[test]
    fn folders_are_classes_and_grey_pictures_have_one_channel() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(!is_one(folder.path()));
        grey(&at("dog/1.png"), [3, 2], 100);
        grey(&at("cat/b.PNG"), [3, 2], 50);
        grey(&at("cat/a.png"), [3, 2], 0);
        fs::write(at("cat/notes.txt"), "").unwrap();
        fs::write(at("cat/.hidden.png"), "").unwrap();
        assert!(is_one(folder.path()));
        let parts = read_all(folder.path()).unwrap();
        let [note] = &parts.notes[..] else {
            panic!("{:?}", parts.notes)
        };
        assert!(note.text.contains("left out 1 file that") && note.text.contains("notes.txt"));
        assert_eq!(
            (parts.shape, parts.class_names),
            ([1, 2, 3], vec!["cat".into(), "dog".into()])
        );
        assert_eq!(parts.train.labels, [0, 0, 1]);
        let expected = [0, 50, 100].map(|value| [0, 1, 2, 10, 11, 12].map(|more| value + more));
        assert_eq!(parts.train.values, Values::Bytes(expected.concat()));

        // What is no picture of a class is counted by kind.
        grey(&at("dog/more/1.png"), [3, 2], 0);
        fs::write(at("dog/1.bmp"), "BM").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("nowhere.png", at("dog/3.png")).unwrap();
        let notes = read_all(folder.path()).unwrap().notes;
        for words in ["2 files", "cat/notes.txt", "1 folder", "dog/more"] {
            assert!(notes[0].text.contains(words), "{words}: {notes:?}");
        }
        #[cfg(unix)]
        assert!(
            notes[0].text.contains("1 link or device that is no file"),
            "{notes:?}"
        );

        // One colour picture makes all of them have three channels.
        let pixel = |x, y| Rgb([x as u8, y as u8, 9]);
        RgbImage::from_fn(3, 2, pixel)
            .save(at("dog/2.png"))
            .unwrap();
        let parts = read_all(folder.path()).unwrap();
        assert_eq!(parts.shape, [3, 2, 3]);
        let Values::Bytes(bytes) = parts.train.values else {
            panic!("pictures are bytes");
        };
        assert_eq!(bytes[..12], [0, 1, 2, 10, 11, 12, 0, 1, 2, 10, 11, 12]);
        assert_eq!(
            bytes[54..],
            [0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 1, 1, 9, 9, 9, 9, 9, 9]
        );
    }

    #[test]
    fn parts_are_folders_and_jpegs_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [
            "train/a/1.jpg",
            "train/b/2.jpeg",
            "test/b/3.jpg",
            "test/a/1.png",
        ] {
            grey(&at(name), [8, 8], 20);
        }
        let parts = read_all(folder.path()).unwrap();
        assert_eq!((parts.train.labels, parts.shape), (vec![0, 1], [1, 8, 8]));
        assert_eq!(parts.test.unwrap().labels, [0, 1]);
        // A smooth picture changes little by JPEG.
        let value = parts.train.values.get(9);
        assert!((value - 31.0).abs() < 8.0, "{value}");
    }

    #[test]
    fn unequal_empty_and_damaged_pictures_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        grey(&at("cat/1.png"), [4, 4], 0);
        grey(&at("dog/1.png"), [4, 5], 0);
        let error = read_all(folder.path()).unwrap_err();
        let words = "dog/1.png has 4 x 5 pixels, but";
        assert!(
            error.contains(words) && error.contains("cat/1.png has 4 x 4"),
            "{error}"
        );
        let resized = Reading {
            resize: Some("2x3".parse().unwrap()),
            ..Reading::default()
        };
        assert_eq!(read(folder.path(), &resized).unwrap().shape, [1, 2, 3]);

        let whole = fs::read(at("cat/1.png")).unwrap();
        fs::write(at("dog/1.png"), &whole[..whole.len() / 2]).unwrap();
        let error = read_all(folder.path()).unwrap_err();
        assert!(
            error.contains("dog/1.png is no whole PNG or JPEG picture"),
            "{error}"
        );
        fs::remove_file(at("dog/1.png")).unwrap();
        let error = read_all(folder.path()).unwrap_err();
        assert!(error.contains("dog has no pictures"), "{error}");
    }
}
