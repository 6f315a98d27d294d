//! Time and randomness: the only code that may ask for either. Everything else is handed a [`Clock`] or [`Entropy`].

use std::{sync::Arc, time::Duration};

use aws_lc_rs::rand::SystemRandom;
use counterfoil_protocol::{UnixTime, encoding::base64url};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time of day, in whole seconds.
    fn now(&self) -> UnixTime;

    /// Time since some fixed moment, for measuring how long something took.
    fn monotonic(&self) -> Duration;
}

/// Gives random bytes that nobody can predict.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// An identifier: `prefix` and 128 random bits. It tells neither time nor order.
    #[must_use]
    pub fn id(&self, prefix: &str) -> String {
        format!("{prefix}{}", base64url(&self.bytes::<16>()))
    }

    /// A secret's text: `prefix` and 256 random bits.
    #[must_use]
    pub fn secret(&self, prefix: &str) -> String {
        format!("{prefix}{}", base64url(&self.bytes::<32>()))
    }
}

/// The machine's own clock and random generator.
#[must_use]
pub fn system() -> (Arc<dyn Clock>, Arc<dyn Entropy>) {
    (Arc::new(SystemClock::start()), Arc::new(SystemEntropy))
}

struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn start() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> UnixTime {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixTime(since_epoch.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX)))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The randomness that an ECDSA signature needs for itself.
#[expect(clippy::disallowed_methods, reason = "this is the source of randomness")]
#[must_use]
pub fn signing_randomness() -> SystemRandom {
    SystemRandom::new()
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the source of randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    }
}

#[cfg(test)]
pub mod fixed {
    //! A clock that stands until it is moved, and bytes that come out the same in every run.

    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use counterfoil_protocol::encoding::sha256;

    use super::{Clock, Duration, Entropy, UnixTime};

    /// A clock that stands.
    pub struct FixedClock(AtomicI64);

    impl FixedClock {
        /// Stands at `now`.
        pub fn at(now: i64) -> Self {
            Self(AtomicI64::new(now))
        }

        /// Moves on.
        pub fn advance(&self, seconds: i64) {
            self.0.fetch_add(seconds, Ordering::SeqCst);
        }
    }

    impl Clock for FixedClock {
        fn now(&self) -> UnixTime {
            UnixTime(self.0.load(Ordering::SeqCst))
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.now().0.try_into().unwrap_or_default())
        }
    }

    /// SHA-256 of a counter.
    #[derive(Default)]
    pub struct CountingEntropy(AtomicU64);

    impl Entropy for CountingEntropy {
        fn fill(&self, bytes: &mut [u8]) {
            for chunk in bytes.chunks_mut(32) {
                let block = sha256(&self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes());
                chunk.copy_from_slice(&block[..chunk.len()]);
            }
        }
    }
}
