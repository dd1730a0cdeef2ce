//! Cortex-M cores: cortex-m-rt starts the program, with one stack and in thread mode.

pub(crate) mod faults;
pub(crate) mod stack;
pub(crate) mod timer;

pub use cortex_m_rt::entry;
