//! Reads and writes IDX, the format of MNIST: a big-endian header, then one byte per value.
//!
//! | file   | header                                            | body                    |
//! |--------|---------------------------------------------------|-------------------------|
//! | images | `0x00000803`, count, rows, columns (`u32` each)   | count x rows x columns  |
//! | images | `0x00000804`, count, channels, rows, columns      | channel after channel   |
//! | labels | `0x00000801`, count                               | count                   |
//!
//! Files may be compressed with gzip, whatever their name ([`content`]). A file is rejected, with
//! the numbers that disagree, if it cannot be read, has another magic number, announces no
//! samples, or is shorter or longer than its header announces. Memory is allocated only for a size
//! that the file can have, up to 2 GiB.

use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::content::{self, Content};
use crate::atomic::FileError;
use crate::digest::hexadecimal;

const IMAGES_MAGIC: u32 = 0x0000_0803;
const CHANNELS_MAGIC: u32 = 0x0000_0804;
const LABELS_MAGIC: u32 = 0x0000_0801;

/// Largest body in bytes that is read into memory.
const MAX_BYTES: u64 = 1 << 31;

/// Why an IDX file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdxError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The gzip stream is damaged.
    #[error("{path} is damaged: it does not decompress ({source}); download it again")]
    Damaged {
        /// The file at fault.
        path: String,
        /// The error of the decompressor.
        source: io::Error,
    },
    /// The file is shorter than a header.
    #[error(
        "{path} holds {found} bytes, fewer than the {needed} of an IDX header: it is truncated or not \
         an IDX file; give an IDX file, or download it again"
    )]
    NoHeader {
        /// The file at fault.
        path: String,
        /// Length of the file in bytes.
        found: u64,
        /// Length of a header in bytes.
        needed: u64,
    },
    /// The file has an unexpected magic number.
    #[error(
        "{path} starts with 0x{found:08x}, not with the 0x{expected:08x} of IDX {kind}{}",
        swapped(*.found)
    )]
    Magic {
        /// The file at fault.
        path: String,
        /// "images" or "labels".
        kind: &'static str,
        /// The magic number found.
        found: u32,
        /// The magic number expected.
        expected: u32,
    },
    /// The header announces no samples.
    #[error("{path} is empty (its header announces {announced}): give a file with samples")]
    Empty {
        /// The file at fault.
        path: String,
        /// The dimensions that the header announces.
        announced: String,
    },
    /// The header announces more than 2 GiB.
    #[error(
        "{path} announces {announced}, more than the limit of {MAX_BYTES} bytes: its header is damaged \
         or the set is too large; download it again or give a smaller one"
    )]
    TooLarge {
        /// The file at fault.
        path: String,
        /// The dimensions that the header announces.
        announced: String,
    },
    /// The file is shorter than announced.
    #[error(
        "{path} is truncated: {announced} need {needed} bytes, but the file has {found}; download it again"
    )]
    Truncated {
        /// The file at fault.
        path: String,
        /// The dimensions that the header announces.
        announced: String,
        /// Length of header and body in bytes.
        needed: u64,
        /// Length of the file in bytes.
        found: String,
    },
    /// The file is longer than announced.
    #[error(
        "{path} is too long: {announced} need {needed} bytes, but the file has {found}; download it again or \
         correct its header"
    )]
    Trailing {
        /// The file at fault.
        path: String,
        /// The dimensions that the header announces.
        announced: String,
        /// Length of header and body in bytes.
        needed: u64,
        /// Length of the file in bytes.
        found: String,
    },
}

/// Returns a hint for the magic number that was found.
fn swapped(found: u32) -> &'static str {
    match found {
        LABELS_MAGIC => ": it holds labels; are two files swapped?",
        IMAGES_MAGIC | CHANNELS_MAGIC => ": it holds images; are two files swapped?",
        _ => ": it is damaged or not an IDX file; give an IDX file, or download it again",
    }
}

/// The images of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Number of images.
    pub count: usize,
    /// Channels of each image: 1 for grey images.
    pub channels: usize,
    /// Height of each image in pixels.
    pub rows: usize,
    /// Width of each image in pixels.
    pub columns: usize,
    /// All pixels, of shape (count, channels, rows, columns).
    pub pixels: Vec<u8>,
}

/// Reads the images of `path`.
///
/// # Errors
/// Returns an error for every kind of invalid file that the module documentation lists.
pub fn read_images(path: &Path) -> Result<Images, IdxError> {
    parse_images(&path.display().to_string(), content::open(path)?)
}

/// Reads the labels of `path`, one per sample.
///
/// # Errors
/// Returns an error for every kind of invalid file that the module documentation lists.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, IdxError> {
    parse_labels(&path.display().to_string(), content::open(path)?)
}

/// Parses the images in `content`; error messages call the file `name`.
pub(super) fn parse_images(name: &str, content: Content) -> Result<Images, IdxError> {
    let mut source = Source { name, content };
    let dimensions = source.header("images", &[(IMAGES_MAGIC, 3), (CHANNELS_MAGIC, 4)])?;
    let (count, channels, rows, columns) = match dimensions[..] {
        [count, channels, rows, columns] => (count, channels, rows, columns),
        _ => (dimensions[0], 1, dimensions[1], dimensions[2]),
    };
    let of = dimensions_text(channels as usize, rows as usize, columns as usize);
    let announced = format!("{count} images of {of} pixels");
    let pixels = source.body(&announced, &dimensions)?;
    // Each dimension fits in a `usize`, because their product does and none is zero.
    Ok(Images {
        count: count as usize,
        channels: channels as usize,
        rows: rows as usize,
        columns: columns as usize,
        pixels,
    })
}

/// Parses the labels in `content`; error messages call the file `name`.
pub(super) fn parse_labels(name: &str, content: Content) -> Result<Vec<u8>, IdxError> {
    let mut source = Source { name, content };
    let dimensions = source.header("labels", &[(LABELS_MAGIC, 1)])?;
    source.body(&format!("{} labels", dimensions[0]), &dimensions)
}

/// Formats dimensions as "28 x 28", or "3 x 32 x 32" if there are several channels.
fn dimensions_text(channels: usize, rows: usize, columns: usize) -> String {
    if channels == 1 {
        format!("{rows} x {columns}")
    } else {
        format!("{channels} x {rows} x {columns}")
    }
}

/// An IDX file being read.
struct Source<'a> {
    name: &'a str,
    content: Content,
}

impl Source<'_> {
    /// Reads at most `bytes` bytes. The second value is the error of a gzip stream that ends
    /// early, in which case the bytes before its end are returned.
    fn read(&mut self, bytes: u64) -> Result<(Vec<u8>, Option<io::Error>), IdxError> {
        let mut read = Vec::new();
        match (&mut self.content.reader)
            .take(bytes)
            .read_to_end(&mut read)
        {
            Ok(_) => Ok((read, None)),
            Err(e) if !self.content.compressed => {
                Err(FileError::new("read", Path::new(self.name), e).into())
            }
            Err(early) if early.kind() == io::ErrorKind::UnexpectedEof => Ok((read, Some(early))),
            Err(source) => Err(IdxError::Damaged {
                path: self.name.to_owned(),
                source,
            }),
        }
    }

    /// Reads the header and returns its dimensions. `expected` lists the accepted magic numbers,
    /// each with its number of dimensions; errors name the first.
    fn header(
        &mut self,
        kind: &'static str,
        expected: &[(u32, usize)],
    ) -> Result<Vec<u32>, IdxError> {
        let path = self.name.to_owned();
        let (mut header, _) = self.read(4)?;
        let (usual, mut dimensions) = expected[0];
        if let Ok(magic) = <[u8; 4]>::try_from(header.as_slice()) {
            let found = u32::from_be_bytes(magic);
            // A wrong magic number is more informative than an incomplete header.
            let Some(&(_, number)) = expected.iter().find(|(magic, _)| *magic == found) else {
                return Err(IdxError::Magic {
                    path,
                    kind,
                    found,
                    expected: usual,
                });
            };
            dimensions = number;
            header.extend(self.read(4 * number as u64)?.0);
        }
        let needed = 4 * (dimensions as u64 + 1);
        if header.len() as u64 != needed {
            let found = header.len() as u64;
            return Err(IdxError::NoHeader {
                path,
                found,
                needed,
            });
        }
        let words = header.as_chunks::<4>().0.iter().skip(1);
        Ok(words.map(|bytes| u32::from_be_bytes(*bytes)).collect())
    }

    /// Reads the body and checks that it has exactly the length given by `dimensions`.
    fn body(&mut self, announced: &str, dimensions: &[u32]) -> Result<Vec<u8>, IdxError> {
        let header = 4 * (dimensions.len() as u64 + 1);
        let bytes = self.body_length(announced, dimensions, header)?;
        let needed = header + bytes;
        let (body, early) = self.read(bytes + 1)?;
        let read = body.len() as u64;
        if read < bytes {
            return Err(self.truncated(announced, needed, (header + read).to_string()));
        }
        if read > bytes {
            let found = format!("at least {}", header + read);
            return Err(self.trailing(announced, needed, found));
        }
        // The body is complete, but gzip's trailer with its checksum is missing.
        if let Some(source) = early {
            let path = self.name.to_owned();
            return Err(IdxError::Damaged { path, source });
        }
        Ok(body)
    }

    /// Returns the length of the body in bytes, after checking that it is within the limit and
    /// that the file can hold it. Nothing has been allocated for it yet.
    fn body_length(
        &self,
        announced: &str,
        dimensions: &[u32],
        header: u64,
    ) -> Result<u64, IdxError> {
        let (path, text) = (self.name.to_owned(), announced.to_owned());
        if dimensions.contains(&0) {
            return Err(IdxError::Empty {
                path,
                announced: text,
            });
        }
        let bytes = dimensions
            .iter()
            .try_fold(1_u64, |product, &d| product.checked_mul(d.into()));
        let Some(bytes) = bytes.filter(|&bytes| bytes <= MAX_BYTES) else {
            return Err(IdxError::TooLarge {
                path,
                announced: text,
            });
        };
        let needed = header + bytes;
        let Content {
            compressed,
            max_bytes,
            ..
        } = self.content;
        match compressed {
            true if max_bytes < needed => {
                Err(self.truncated(announced, needed, format!("at most {max_bytes}")))
            }
            false if max_bytes < needed => {
                Err(self.truncated(announced, needed, max_bytes.to_string()))
            }
            false if max_bytes > needed => {
                Err(self.trailing(announced, needed, max_bytes.to_string()))
            }
            _ => Ok(bytes),
        }
    }

    /// Returns the error for a file that is shorter than announced.
    fn truncated(&self, announced: &str, needed: u64, found: String) -> IdxError {
        IdxError::Truncated {
            path: self.name.to_owned(),
            announced: announced.to_owned(),
            needed,
            found,
        }
    }

    /// Returns the error for a file that is longer than announced.
    fn trailing(&self, announced: &str, needed: u64, found: String) -> IdxError {
        IdxError::Trailing {
            path: self.name.to_owned(),
            announced: announced.to_owned(),
            needed,
            found,
        }
    }
}

impl Images {
    /// Returns the header of these images.
    fn header(&self) -> io::Result<Vec<u8>> {
        match self.channels {
            1 => header(IMAGES_MAGIC, &[self.count, self.rows, self.columns]),
            channels => {
                let dimensions = [self.count, channels, self.rows, self.columns];
                header(CHANNELS_MAGIC, &dimensions)
            }
        }
    }

    /// Returns the dimensions of an image as text: "28 x 28", or "3 x 32 x 32" with channels.
    #[must_use]
    pub fn dimensions(&self) -> String {
        dimensions_text(self.channels, self.rows, self.columns)
    }

    /// Returns the SHA-256, in hexadecimal, of these images as an uncompressed IDX file.
    ///
    /// # Errors
    /// Returns an error if a dimension exceeds the header's 32 bits.
    pub fn sha256(&self) -> io::Result<String> {
        Ok(sha256(&self.header()?, &self.pixels))
    }
}

/// Writes `images` as an uncompressed IDX file.
///
/// # Errors
/// Returns an error if a dimension exceeds the header's 32 bits, or if writing fails.
pub fn write_images(writer: &mut dyn Write, images: &Images) -> io::Result<()> {
    writer.write_all(&images.header()?)?;
    writer.write_all(&images.pixels)
}

/// Writes `labels` as an uncompressed IDX file.
///
/// # Errors
/// Returns an error if the number of labels exceeds the header's 32 bits, or if writing fails.
pub fn write_labels(writer: &mut dyn Write, labels: &[u8]) -> io::Result<()> {
    writer.write_all(&header(LABELS_MAGIC, &[labels.len()])?)?;
    writer.write_all(labels)
}

/// Returns the SHA-256, in hexadecimal, of `labels` as an uncompressed IDX file.
///
/// # Errors
/// Returns an error if the number of labels exceeds the header's 32 bits.
pub fn labels_sha256(labels: &[u8]) -> io::Result<String> {
    Ok(sha256(&header(LABELS_MAGIC, &[labels.len()])?, labels))
}

/// Encodes a header.
fn header(magic: u32, dimensions: &[usize]) -> io::Result<Vec<u8>> {
    let mut header = magic.to_be_bytes().to_vec();
    for &dimension in dimensions {
        let dimension = u32::try_from(dimension).map_err(io::Error::other)?;
        header.extend(dimension.to_be_bytes());
    }
    Ok(header)
}

/// Returns the SHA-256, in hexadecimal, of `header` followed by `body`.
fn sha256(header: &[u8], body: &[u8]) -> String {
    hexadecimal(
        &Sha256::new()
            .chain_update(header)
            .chain_update(body)
            .finalize(),
    )
}
