//! The integration tests: the real binary, real sockets, a real data folder.
//!
//! One crate, since each further one costs a link. The client is that of `load`, which shares no code with the gateway.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it finds something wrong, and says where"
)]

mod access;
mod architecture;
mod attacks;
mod audit;
mod backfill;
mod backup;
mod bad_input;
mod behind_nginx;
mod chaos;
mod clients;
mod commands;
mod confirm;
pub(crate) mod contract;
mod deliveries;
mod demo;
mod dev;
mod diagnosis;
mod doctor;
mod documentation;
mod erase;
mod faults;
mod fetched_keys;
mod full_disk;

mod invariants;
mod labels;
mod listen;
mod monitoring;
mod older_data;
mod operations;
mod parts;
mod quarantine;
mod receipts;
mod redis_cluster;
mod redis_sentinel;
mod redis_services;
mod redis_store;
mod retries;
mod roles;
mod secret_files;
mod service_manager;
mod story;
mod streams;
mod support;
mod tls;
mod trigger;
mod wire;
mod working_folder;
