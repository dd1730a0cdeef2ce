//! Reads files that may be compressed with gzip.
//!
//! Gzip is recognised by its magic number, never by the file's name. Only regular files are read,
//! and never more of them than the caller allows, because a small file can decompress to a very
//! large one.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::gzip::Members;
use crate::atomic::{FileError, regular_length};
use crate::digest::hexadecimal;

/// The magic number of gzip (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Upper bound on deflate's expansion: bytes of output per byte of input.
const GZIP_MAX_EXPANSION: u64 = 1032;

/// The contents of an open file.
pub struct Content {
    /// Reader of the decompressed bytes.
    pub reader: Box<dyn Read>,
    /// Whether the file is compressed.
    pub compressed: bool,
    /// Upper bound on the bytes that `reader` returns; exact unless `compressed`.
    pub max_bytes: u64,
}

/// Opens `path` and detects gzip by the magic number.
///
/// # Errors
/// Returns an error if the file does not exist, is not a regular file, or cannot be opened.
pub fn open(path: &Path) -> Result<Content, FileError> {
    let open = || -> io::Result<Content> {
        let length = regular_length(path)?;
        let mut file = File::open(path)?;
        let mut magic = Vec::new();
        (&mut file).take(2).read_to_end(&mut magic)?;
        file.rewind()?;
        let file = BufReader::with_capacity(1 << 16, file);
        if magic == GZIP_MAGIC {
            let reader = Box::new(Members::new(file));
            let max_bytes = length.saturating_mul(GZIP_MAX_EXPANSION);
            return Ok(Content {
                reader,
                compressed: true,
                max_bytes,
            });
        }
        Ok(Content {
            reader: Box::new(file),
            compressed: false,
            max_bytes: length,
        })
    };
    open().map_err(|e| FileError::new("read", path, e))
}

/// Returns the length in bytes and the SHA-256, in hexadecimal, of the decompressed contents of
/// `path`.
///
/// Reading stops after `limit + 1` bytes, so a returned length above `limit` means "more than
/// `limit`", and the digest is then that of a prefix.
///
/// # Errors
/// Returns an error if the file cannot be read or its gzip stream is damaged.
pub fn sha256(path: &Path, limit: u64) -> Result<(u64, String), FileError> {
    let reader = open(path)?.reader;
    let mut reader = reader.take(limit.saturating_add(1));
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
