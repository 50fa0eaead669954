#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| audit_fuzz::mcp_messages(input));
