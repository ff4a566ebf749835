#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| execution_engine::fuzz_redact(data));
