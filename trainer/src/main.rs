//! The command `rarefy`.
fn main() {}
