//! Decompresses gzip files as `gzip` itself does: consecutive members, then optional zero padding.
//!
//! Tapes and block devices pad files with zero bytes. `gzip` ignores that padding, so a reader
//! that rejected it would call such a file damaged. Any other bytes after a member are an error.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Reader that decompresses all members of a gzip file.
pub(super) struct Members<R> {
    /// The member being read; `None` after the last one.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    /// Creates a reader of the gzip file in `source`, positioned at its first member.
    pub(super) fn new(source: R) -> Self {
        Self {
            member: Some(GzDecoder::new(source)),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let ended = self.member.take().expect("a member is being read");
            let mut source = ended.into_inner();
            let padded = skip_zeros(&mut source)?;
            if source.fill_buf()?.is_empty() {
                break;
            }
            if padded {
                let reason = "there are bytes after its zero padding";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            self.member = Some(GzDecoder::new(source));
        }
        Ok(0)
    }
}

/// Skips the zero bytes at the current position and returns whether there were any.
fn skip_zeros(source: &mut impl BufRead) -> io::Result<bool> {
    let mut any = false;
    loop {
        let bytes = source.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        if zeros == 0 {
            return Ok(any);
        }
        any = true;
        source.consume(zeros);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// Compresses `text` to one gzip member.
    fn member(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Decompresses a file with these `bytes`.
    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        // The buffer is small so that the padding crosses its end.
        let source = io::BufReader::with_capacity(16, bytes);
        Members::new(source).read_to_end(&mut read)?;
        Ok(read)
    }

    #[test]
    fn members_and_zero_padding_are_accepted() {
        let two = [member(b"first "), member(b"second")].concat();
        assert_eq!(read(&two).unwrap(), b"first second");
        for zeros in [1, 15, 16, 17, 512] {
            let padded = [two.clone(), vec![0; zeros]].concat();
            assert_eq!(read(&padded).unwrap(), b"first second", "{zeros}");
        }
    }

    #[test]
    fn other_bytes_after_a_member_are_rejected() {
        let one = member(b"first");
        for rest in [
            &b"x"[..],
            &[0x1f],
            &[0x1f, 0x8b],
            &[0, 0, 1],
            &[0x1f, 0x8c, 8],
        ] {
            let bytes = [one.clone(), rest.to_vec()].concat();
            assert!(read(&bytes).is_err(), "{rest:?}");
        }
        assert!(read(&one[..one.len() - 1]).is_err());
        let late = [one.clone(), vec![0; 5], one.clone()].concat();
        assert!(read(&late).unwrap_err().to_string().contains("padding"));
    }
}
