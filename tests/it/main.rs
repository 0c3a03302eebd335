//! The integration tests.

mod contract;
