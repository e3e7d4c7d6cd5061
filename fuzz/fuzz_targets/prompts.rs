#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| neuroinspect_fuzz::read("prompts", data));
