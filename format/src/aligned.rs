//! Aligned container bytes on the heap: a `Vec<u8>` guarantees no alignment.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;

/// A copy of bytes, aligned to 4 bytes. For bytes in flash, use [`crate::Aligned`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlignedBytes {
    words: Vec<u32>,
    length: usize,
}

impl AlignedBytes {
    /// Copies `bytes` to the heap.
    ///
    /// ```
    /// let bytes = rarefy_format::AlignedBytes::copy_from(b"seven b");
    /// assert_eq!(*bytes, *b"seven b");
    /// assert_eq!(bytes.as_ptr() as usize % 4, 0);
    /// ```
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> AlignedBytes {
        let mut words = vec![0u32; bytes.len().div_ceil(4)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        AlignedBytes {
            words,
            length: bytes.len(),
        }
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.length]
    }
}
