//! The invariants I1 to I8 of ARCHITECTURE.md, each with tests named after it.

mod i1_durable;
mod i2_once;
mod i3_gapless;
mod i4_convergence;
mod i5_isolation;
mod i6_bounded;
mod i7_accounted;
mod i8_no_card_data;
