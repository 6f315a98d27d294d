//! The only code of the daemon that may ask for the time or for randomness.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::rand::SystemRandom;
use counterfoil_protocol::{
    UnixTime,
    encoding::{base64url, hex},
};

/// Tells the time.
pub(crate) trait Clock: Send + Sync {
    /// The wall clock now, in whole seconds.
    fn now(&self) -> UnixTime;

    /// Time since some fixed moment, which nobody sets: for measuring how long something takes.
    fn ticks(&self) -> Duration {
        Duration::from_secs(self.now().0.unsigned_abs())
    }
}

/// Gives random bytes.
pub(crate) trait Entropy: Send + Sync {
    /// Fills `bytes` with random bytes that nobody can guess.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// base64url of `N` random bytes.
    pub(crate) fn base64url<const N: usize>(&self) -> String {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        base64url(&bytes)
    }

    /// Lower-case hexadecimal of `N` random bytes.
    pub(crate) fn hex<const N: usize>(&self) -> String {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        hex(&bytes)
    }

    /// A random UUID (RFC 9562 §5.4): the form in which the platform's clients write `jti`.
    pub(crate) fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let text = hex(&bytes);
        [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
    }

    /// A number from `-tenths/10` to `+tenths/10` of `whole`: spreads what would happen everywhere at once.
    pub(crate) fn jitter(&self, whole: i64, tenths: i64) -> i64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        let span = whole.saturating_mul(tenths) / 10;
        i64::from(u32::from_le_bytes(bytes)) % (span * 2 + 1) - span
    }
}

/// The machine's clock and the operating system's randomness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl System {
    /// Draws once, so that no caller waits while the generator is seeded: the process's, and this thread's.
    pub(crate) fn warm() {
        Self.fill(&mut [0; 32]);
    }
}

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> UnixTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn ticks(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

impl Entropy for System {
    #[expect(clippy::disallowed_methods, reason = "this is the source of randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// The monotonic clock, in microseconds: by which a service manager puts messages in order.
pub(crate) fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds.saturating_mul(1_000_000).saturating_add(nanos / 1_000)
}

/// The randomness that an ECDSA signature, or a seal, needs for itself.
#[expect(clippy::disallowed_methods, reason = "this is the source of randomness")]
pub(crate) fn own_randomness() -> SystemRandom {
    SystemRandom::new()
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fixed {
    //! Randomness that counts.

    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Entropy;

    /// Fills with 1, 2, 3, …: never twice the same, and the same in every run.
    #[derive(Debug, Default)]
    pub(crate) struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fixed::Counting, *};

    #[test]
    fn identifiers_have_their_forms() {
        let entropy: &dyn Entropy = &Counting::default();
        assert_eq!(entropy.base64url::<32>().len(), 43);
        assert_eq!(entropy.base64url::<64>().len(), 86);
        assert_eq!(entropy.hex::<20>().len(), 40);
        assert_eq!(entropy.uuid(), "04040404-0404-4404-8404-040404040404");
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let entropy: &dyn Entropy = &System;
        for _ in 0..1_000 {
            assert!((-180..=180).contains(&entropy.jitter(1_800, 1)));
            assert_eq!(entropy.jitter(0, 1), 0);
        }
    }
}
