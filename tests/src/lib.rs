//! What crosses crates is tested in `tests/`: this library is empty.
