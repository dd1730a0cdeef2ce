//! Checks of pointers: for null and alignment in every build, for overlaps in checked builds, which
//! are those with debug assertions.

use crate::error::Error;

/// The alignment in bytes of containers and arenas.
pub(crate) const ARENA_ALIGNMENT: usize = 4;

/// A region of memory that a caller passes.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    start: usize,
    bytes: usize,
}

impl Region {
    /// Returns the region of `bytes` bytes at the address `start`. Fails if this is null or no
    /// multiple of `alignment`.
    #[inline(always)]
    pub(crate) fn new(start: usize, bytes: usize, alignment: usize) -> Result<Self, Error> {
        if start == 0 {
            return Err(Error::Null);
        }
        if !start.is_multiple_of(alignment) {
            return Err(Error::Misaligned);
        }
        Ok(Self { start, bytes })
    }

    /// Returns the region of a slice.
    #[inline(always)]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            start: bytes.as_ptr().addr(),
            bytes: bytes.len(),
        }
    }

    /// Checks, in checked builds, that the region does not wrap around the address space.
    #[inline(always)]
    pub(crate) fn check(self) -> Result<(), Error> {
        let wraps = || self.start.checked_add(self.bytes).is_none();
        match cfg!(debug_assertions) && (self.bytes > isize::MAX.unsigned_abs() || wraps()) {
            true => Err(Error::Overlap),
            false => Ok(()),
        }
    }

    /// Checks, in checked builds, that two regions that do not wrap have no byte in common.
    #[inline(always)]
    pub(crate) fn check_apart(self, other: Self) -> Result<(), Error> {
        let ends_before = |one: Self, other: Self| {
            let end = one.start.saturating_add(one.bytes);
            one.bytes == 0 || other.bytes == 0 || end <= other.start
        };
        match cfg!(debug_assertions) && !ends_before(self, other) && !ends_before(other, self) {
            true => Err(Error::Overlap),
            false => Ok(()),
        }
    }
}

/// Returns what is at `pointer`. Fails if the pointer is null or, in checked builds, misaligned.
///
/// # Safety
/// The pointer is null or valid for reading a `T`, which stays unchanged for `'a`.
#[inline(always)]
pub(crate) unsafe fn shared<'a, T>(pointer: *const T) -> Result<&'a T, Error> {
    check_struct(pointer)?;
    // SAFETY: the pointer is not null, and the caller promises the rest.
    Ok(unsafe { &*pointer })
}

/// Returns what is at `pointer`, to be written. Fails if the pointer is null or, in checked builds,
/// misaligned.
///
/// # Safety
/// The pointer is null or valid for reading and writing a `T`, to which nothing else refers for
/// `'a`.
#[inline(always)]
pub(crate) unsafe fn exclusive<'a, T>(pointer: *mut T) -> Result<&'a mut T, Error> {
    check_struct(pointer)?;
    // SAFETY: the pointer is not null, and the caller promises the rest.
    Ok(unsafe { &mut *pointer })
}

/// Checks that a pointer to a struct of the header is not null. Its alignment is checked in debug
/// builds only, since a C compiler aligns structs by itself.
#[inline(always)]
fn check_struct<T>(pointer: *const T) -> Result<(), Error> {
    let alignment = match cfg!(debug_assertions) {
        true => align_of::<T>(),
        false => 1,
    };
    Region::new(pointer.addr(), size_of::<T>(), alignment)?.check()
}
