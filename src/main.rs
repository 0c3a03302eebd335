//! The `paystream` program: arguments in, exit code out. Everything between is in the library.

/// Streams are many small allocations that live long: an idle hyper stream took 8.7 KiB with jemalloc, 13.3 KiB with glibc.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    paystream::cli::main(std::env::args_os())
}
