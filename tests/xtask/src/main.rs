//! Rarefy's own chores.
fn main() {}
