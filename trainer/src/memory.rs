//! Checks that the memory of a computation is available before the computation starts.
//!
//! A failed allocation inside tensor code aborts the process without a message. Where the system
//! limits the address space (`ulimit -v`, some containers), checking first turns that into an
//! error. Systems that overcommit memory may still end the process later.

/// Error for a computation that needs more memory than is available.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{purpose} needs about {} MiB of memory, more than is available: raise the limit (`ulimit -v`) or free some memory",
    bytes.div_ceil(1 << 20)
)]
pub struct OutOfMemory {
    /// The computation.
    pub purpose: String,
    /// Estimated memory that it needs, in bytes.
    pub bytes: usize,
}

/// Checks that `bytes` bytes can be allocated for `purpose`, and frees them at once.
///
/// # Errors
/// Returns an error if the allocation fails.
pub fn require(bytes: usize, purpose: &str) -> Result<(), OutOfMemory> {
    let mut probe: Vec<u8> = Vec::new();
    match probe.try_reserve_exact(bytes) {
        // Without this use, the compiler may remove the allocation.
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
    fn impossible_amounts_are_rejected() {
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
