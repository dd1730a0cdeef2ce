//! Reading bytes sequentially, in `const` code and without panics.

/// The unread rest of a byte slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    /// Starts reading `rest`.
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Bytes { rest }
    }

    /// Returns the unread bytes.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes the next `count` bytes; returns `None` if fewer remain.
    #[inline(always)]
    pub(crate) const fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Some(taken)
            }
            None => None,
        }
    }

    /// Takes the next `N` bytes; returns `None` if fewer remain.
    #[inline(always)]
    pub(crate) const fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Some(*taken)
            }
            None => None,
        }
    }

    /// Takes the next `count` elements of `N` bytes; returns `None` if fewer remain.
    #[inline(always)]
    pub(crate) const fn elements<const N: usize>(&mut self, count: usize) -> Option<&'a [[u8; N]]> {
        match self.take(count.saturating_mul(N)) {
            Some(taken) => Some(taken.as_chunks().0),
            None => None,
        }
    }
}

/// Returns element `index` as a little-endian number, or 0 if it is out of range.
#[inline(always)]
pub(crate) const fn u16_at(elements: &[[u8; 2]], index: usize) -> u16 {
    if index < elements.len() {
        u16::from_le_bytes(elements[index])
    } else {
        0
    }
}

/// Returns element `index` as a little-endian number, or 0 if it is out of range.
#[inline(always)]
pub(crate) const fn u32_at(elements: &[[u8; 4]], index: usize) -> u32 {
    if index < elements.len() {
        u32::from_le_bytes(elements[index])
    } else {
        0
    }
}

/// Unwraps a result or returns its error, like `?`, which is not available in `const` functions.
macro_rules! check {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Err(error),
        }
    };
}

pub(crate) use check;
