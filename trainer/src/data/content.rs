//! What a file holds, decompressed when it is gzip.
//!
//! Gzip is recognised by its first two bytes, never by the name. Only ordinary files are read, and
//! never more of them than the caller allows: a small file can decompress to a very large one.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::dataset::hexadecimal;
use super::gzip::Members;
use crate::artifact::{FileError, ordinary_length};

/// The first two bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// No gzip file expands more than this: deflate's limit.
const GZIP_MOST_EXPANSION: u64 = 1032;

/// A file opened for reading what it holds.
pub struct Content {
    /// The bytes, decompressed.
    pub reader: Box<dyn Read>,
    /// Whether the file is gzip.
    pub compressed: bool,
    /// An upper bound on how many bytes there are to read; exact when not compressed.
    pub most: u64,
}

/// Opens `path`, looking at its first bytes.
///
/// # Errors
/// When there is no such file, it is not an ordinary file or the system refuses.
pub fn open(path: &Path) -> Result<Content, FileError> {
    let open = || -> io::Result<Content> {
        let length = ordinary_length(path)?;
        let mut file = File::open(path)?;
        let mut magic = Vec::new();
        (&mut file).take(2).read_to_end(&mut magic)?;
        file.rewind()?;
        let file = BufReader::with_capacity(1 << 16, file);
        if magic == GZIP_MAGIC {
            let reader = Box::new(Members::new(file));
            let most = length.saturating_mul(GZIP_MOST_EXPANSION);
            return Ok(Content {
                reader,
                compressed: true,
                most,
            });
        }
        Ok(Content {
            reader: Box::new(file),
            compressed: false,
            most: length,
        })
    };
    open().map_err(|e| FileError::new("read", path, e))
}

/// The length in bytes and the SHA-256, in hexadecimal, of what `path` holds. Reading stops
/// after `most + 1` bytes, so a length above `most` means "more than `most`".
///
/// # Errors
/// When the file cannot be read or, being gzip, does not decompress.
pub fn sha256(path: &Path, most: u64) -> Result<(u64, String), FileError> {
    let reader = open(path)?.reader;
    let mut reader = reader.take(most.saturating_add(1));
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((length, hexadecimal(&hasher.finalize()))),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                length += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(FileError::new("read", path, e)),
        }
    }
}
