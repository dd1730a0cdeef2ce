//! Boards, emulated and real.
