//! The embedded store: a durable, transactional store on local disk.
