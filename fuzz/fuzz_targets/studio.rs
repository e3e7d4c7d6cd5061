#![no_main]

libfuzzer_sys::fuzz_target!(
    init: neuroinspect_fuzz::studio::start(),
    |data: &[u8]| neuroinspect_fuzz::studio::request(data)
);
