//! Tests fetching datasets from a server on loopback that has the faults of real mirrors.

mod mirrors;
mod resuming;
mod sets;
mod tiny;
