//! IDX, the files of MNIST: a big-endian header, then one byte a value.
//!
//! | file   | header                                            | body                    |
//! |--------|---------------------------------------------------|-------------------------|
//! | images | `0x00000803`, count, rows, columns (`u32` each)   | count x rows x columns  |
//! | images | `0x00000804`, count, channels, rows, columns      | channel after channel   |
//! | labels | `0x00000801`, count                               | count                   |
//!
//! Files may be gzip, whatever their name ([`content`]). Refused, with the numbers that disagree:
//! what cannot be read, another magic, a set of none, more or fewer bytes than the header
//! announces. The header is believed only as far as the file can hold it, and up to 2 GiB.

use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::content;
use super::dataset::hexadecimal;
use crate::artifact::FileError;

const IMAGES_MAGIC: u32 = 0x0000_0803;
const CHANNELS_MAGIC: u32 = 0x0000_0804;
const LABELS_MAGIC: u32 = 0x0000_0801;

/// The largest body read, in bytes: beyond this a set does not belong in memory.
const MOST_BYTES: u64 = 1 << 31;

/// An IDX file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdxError {
    /// The file could not be read at all.
    #[error(transparent)]
    File(#[from] FileError),
    /// The gzip stream is damaged.
    #[error("{path} is damaged: it does not decompress ({source}); get it anew")]
    Damaged {
        /// The file at fault.
        path: String,
        /// What the decompressor says.
        source: io::Error,
    },
    /// Shorter than a header.
    #[error(
        "{path} holds {found} bytes, fewer than the {needed} of an IDX header: it was cut short \
         or is not IDX; get it anew"
    )]
    NoHeader {
        /// The file at fault.
        path: String,
        /// Bytes there are.
        found: u64,
        /// Bytes a header takes.
        needed: u64,
    },
    /// Another kind of file.
    #[error(
        "{path} starts with 0x{found:08x}, not with the 0x{expected:08x} of IDX {kind}{}",
        swapped(*.found)
    )]
    Magic {
        /// The file at fault.
        path: String,
        /// "images" or "labels".
        kind: &'static str,
        /// The magic there is.
        found: u32,
        /// The magic there should be.
        expected: u32,
    },
    /// A header that announces nothing.
    #[error("{path} announces {announced}: there is nothing in it to use; give a set with samples")]
    Empty {
        /// The file at fault.
        path: String,
        /// The dimensions the header announces.
        announced: String,
    },
    /// A header that announces more than Rarefy reads.
    #[error(
        "{path} announces {announced}, more than the {MOST_BYTES} bytes that Rarefy reads: its \
         header is damaged or the set is too large; get it anew or give a smaller one"
    )]
    Absurd {
        /// The file at fault.
        path: String,
        /// The dimensions the header announces.
        announced: String,
    },
    /// Fewer bytes than announced.
    #[error("{path} was cut short: {announced} need {needed} bytes, it holds {found}; get it anew")]
    Truncated {
        /// The file at fault.
        path: String,
        /// The dimensions the header announces.
        announced: String,
        /// Bytes the header and the body take.
        needed: u64,
        /// Bytes there are.
        found: String,
    },
    /// More bytes than announced.
    #[error(
        "{path} is too long: {announced} need {needed} bytes, it holds {found}; get it anew or \
         correct its header"
    )]
    Trailing {
        /// The file at fault.
        path: String,
        /// The dimensions the header announces.
        announced: String,
        /// Bytes the header and the body take.
        needed: u64,
        /// Bytes there are.
        found: String,
    },
}

/// A hint for the commonest mix-up.
fn swapped(found: u32) -> &'static str {
    match found {
        LABELS_MAGIC => ": it holds labels; are two files swapped?",
        IMAGES_MAGIC | CHANNELS_MAGIC => ": it holds images; are two files swapped?",
        _ => ": it is not such a file; get it anew",
    }
}

/// The images of an IDX file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// How many there are.
    pub count: usize,
    /// The channels of each: 1 for grey images.
    pub channels: usize,
    /// The height of each, in pixels.
    pub rows: usize,
    /// The width of each, in pixels.
    pub columns: usize,
    /// All pixels, `count x channels x rows x columns`.
    pub pixels: Vec<u8>,
}

/// Reads the images of `path`.
///
/// # Errors
/// Whatever the module refuses.
pub fn read_images(path: &Path) -> Result<Images, IdxError> {
    let content = content::open(path)?;
    parse_images(
        &path.display().to_string(),
        content.reader,
        content.compressed,
        content.most,
    )
}

/// Reads the labels of `path`, one a sample.
///
/// # Errors
/// Whatever the module refuses.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, IdxError> {
    let content = content::open(path)?;
    parse_labels(
        &path.display().to_string(),
        content.reader,
        content.compressed,
        content.most,
    )
}

/// The images in `reader`, called `name` in errors, which holds at most `most` bytes (exactly so
/// unless `compressed`).
pub(super) fn parse_images(
    name: &str,
    reader: impl Read,
    compressed: bool,
    most: u64,
) -> Result<Images, IdxError> {
    let mut source = Source {
        name,
        reader,
        compressed,
        most,
    };
    let dimensions = source.header("images", &[(IMAGES_MAGIC, 3), (CHANNELS_MAGIC, 4)])?;
    let (count, channels, rows, columns) = match dimensions[..] {
        [count, channels, rows, columns] => (count, channels, rows, columns),
        _ => (dimensions[0], 1, dimensions[1], dimensions[2]),
    };
    let of = dimensions_text(channels as usize, rows as usize, columns as usize);
    let announced = format!("{count} images of {of} pixels");
    let pixels = source.body(&announced, &dimensions)?;
    // Each fits: their product does, and none is zero.
    Ok(Images {
        count: count as usize,
        channels: channels as usize,
        rows: rows as usize,
        columns: columns as usize,
        pixels,
    })
}

/// The labels in `reader`; the arguments are those of [`parse_images`].
pub(super) fn parse_labels(
    name: &str,
    reader: impl Read,
    compressed: bool,
    most: u64,
) -> Result<Vec<u8>, IdxError> {
    let mut source = Source {
        name,
        reader,
        compressed,
        most,
    };
    let dimensions = source.header("labels", &[(LABELS_MAGIC, 1)])?;
    source.body(&format!("{} labels", dimensions[0]), &dimensions)
}

/// "28 x 28", with channels "3 x 32 x 32".
fn dimensions_text(channels: usize, rows: usize, columns: usize) -> String {
    if channels == 1 {
        format!("{rows} x {columns}")
    } else {
        format!("{channels} x {rows} x {columns}")
    }
}

/// An IDX file being read.
struct Source<'a, R> {
    name: &'a str,
    reader: R,
    compressed: bool,
    most: u64,
}

impl<R: Read> Source<'_, R> {
    /// Reads at most `bytes` bytes; the error, if any, is that of a gzip stream that ends early.
    fn read(&mut self, bytes: u64) -> Result<(Vec<u8>, Option<io::Error>), IdxError> {
        let mut read = Vec::new();
        match (&mut self.reader).take(bytes).read_to_end(&mut read) {
            Ok(_) => Ok((read, None)),
            Err(e) if !self.compressed => {
                Err(FileError::new("read", Path::new(self.name), e).into())
            }
            Err(early) if early.kind() == io::ErrorKind::UnexpectedEof => Ok((read, Some(early))),
            Err(source) => Err(IdxError::Damaged {
                path: self.name.to_owned(),
                source,
            }),
        }
    }

    /// The dimensions after the magic, which must be one of the `expected`, each with its number
    /// of dimensions.
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
            // A wrong magic says more than a missing header, so it goes first.
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

    /// The body of `dimensions` bytes, all of it and nothing after it.
    fn body(&mut self, announced: &str, dimensions: &[u32]) -> Result<Vec<u8>, IdxError> {
        let path = self.name.to_owned();
        let announced = announced.to_owned();
        if dimensions.contains(&0) {
            return Err(IdxError::Empty { path, announced });
        }
        let header = 4 * (dimensions.len() as u64 + 1);
        let bytes = dimensions
            .iter()
            .try_fold(1_u64, |product, &d| product.checked_mul(d.into()));
        let Some(bytes) = bytes.filter(|&bytes| bytes <= MOST_BYTES) else {
            return Err(IdxError::Absurd { path, announced });
        };
        let needed = header + bytes;
        // What the file can hold is known before anything is allocated.
        if self.most < needed {
            let found = if self.compressed {
                format!("at most {}", self.most)
            } else {
                self.most.to_string()
            };
            return Err(IdxError::Truncated {
                path,
                announced,
                needed,
                found,
            });
        }
        if !self.compressed && self.most > needed {
            let found = self.most.to_string();
            return Err(IdxError::Trailing {
                path,
                announced,
                needed,
                found,
            });
        }
        let (body, early) = self.read(bytes + 1)?;
        let read = body.len() as u64;
        if read < bytes {
            let found = (header + read).to_string();
            return Err(IdxError::Truncated {
                path,
                announced,
                needed,
                found,
            });
        }
        if read > bytes {
            let found = format!("at least {}", header + read);
            return Err(IdxError::Trailing {
                path,
                announced,
                needed,
                found,
            });
        }
        // All is there but gzip's own end, with the checksum that would vouch for it.
        if let Some(source) = early {
            return Err(IdxError::Damaged { path, source });
        }
        Ok(body)
    }
}

impl Images {
    fn header(&self) -> io::Result<Vec<u8>> {
        match self.channels {
            1 => header(IMAGES_MAGIC, &[self.count, self.rows, self.columns]),
            channels => {
                let dimensions = [self.count, channels, self.rows, self.columns];
                header(CHANNELS_MAGIC, &dimensions)
            }
        }
    }

    /// Height and width of an image, channels before them where there are several: "28 x 28".
    #[must_use]
    pub fn dimensions(&self) -> String {
        dimensions_text(self.channels, self.rows, self.columns)
    }

    /// SHA-256, in hexadecimal, of these images as an uncompressed IDX file.
    ///
    /// # Errors
    /// When a dimension does not fit the header's 32 bits.
    pub fn sha256(&self) -> io::Result<String> {
        Ok(sha256(&self.header()?, &self.pixels))
    }
}

/// Writes `images` as an uncompressed IDX file.
///
/// # Errors
/// When a dimension does not fit the header's 32 bits or `writer` refuses.
pub fn write_images(writer: &mut dyn Write, images: &Images) -> io::Result<()> {
    writer.write_all(&images.header()?)?;
    writer.write_all(&images.pixels)
}

/// Writes `labels` as an uncompressed IDX file.
///
/// # Errors
/// When their number does not fit the header's 32 bits or `writer` refuses.
pub fn write_labels(writer: &mut dyn Write, labels: &[u8]) -> io::Result<()> {
    writer.write_all(&header(LABELS_MAGIC, &[labels.len()])?)?;
    writer.write_all(labels)
}

/// SHA-256, in hexadecimal, of `labels` as an uncompressed IDX file.
///
/// # Errors
/// When their number does not fit the header's 32 bits.
pub fn labels_sha256(labels: &[u8]) -> io::Result<String> {
    Ok(sha256(&header(LABELS_MAGIC, &[labels.len()])?, labels))
}

fn header(magic: u32, dimensions: &[usize]) -> io::Result<Vec<u8>> {
    let mut header = magic.to_be_bytes().to_vec();
    for &dimension in dimensions {
        let dimension = u32::try_from(dimension).map_err(io::Error::other)?;
        header.extend(dimension.to_be_bytes());
    }
    Ok(header)
}

fn sha256(header: &[u8], body: &[u8]) -> String {
    hexadecimal(
        &Sha256::new()
            .chain_update(header)
            .chain_update(body)
            .finalize(),
    )
}
