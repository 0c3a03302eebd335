#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| paystream::source::fuzzing::depth(input));
