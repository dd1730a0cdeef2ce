//! Whether the memory that a computation needs can be had, asked before it begins.
//!
//! An allocation that fails in the midst of tensor code ends the process without a sentence. Where the
//! system limits the address space (`ulimit -v`, containers that set it), asking first turns that
//! into an error. Systems that promise more memory than they have may still end the process later.

/// A computation that needs more memory than can be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{purpose} needs about {} MiB of memory, more than the system grants: raise the limit (`ulimit -v`) or free some memory",
    bytes.div_ceil(1 << 20)
)]
pub struct OutOfMemory {
    /// What needs it.
    pub purpose: String,
    /// An estimate of the bytes it needs.
    pub bytes: usize,
}

/// Checks that `bytes` more can be allocated for `purpose`. Nothing is kept.
///
/// # Errors
/// When the system does not grant them.
pub fn require(bytes: usize, purpose: &str) -> Result<(), OutOfMemory> {
    let mut probe: Vec<u8> = Vec::new();
    match probe.try_reserve_exact(bytes) {
        // Reserving and releasing without a use in between may be optimised away.
        Ok(()) => {
            std::hint::black_box(&mut probe);
            Ok(())
        }
        Err(_) => Err(OutOfMemory {
            purpose: purpose.into(),
            bytes,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_system_has_is_refused() {
        require(1 << 20, "a test").unwrap();
        let error = require(isize::MAX as usize, "a test").unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("a test needs about 8796093022208 MiB"),
            "{text}"
        );
        assert!(text.contains("ulimit -v"), "{text}");
    }
}
