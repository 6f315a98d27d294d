#![no_main]

libfuzzer_sys::fuzz_target!(
    init: {
        // A fuzzer's main is not Rust's, which ignores this signal: a peer that hangs up must not end the process.
        // SAFETY: nothing else runs yet, and no handler is installed.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    },
    |bytes: &[u8]| counterfoild::fuzz::surface(bytes)
);
