//! When a letter that was not taken is tried again, and when it is given up. Pure.

use counterfoil_protocol::UnixTime;

/// Seconds until the second try; each later wait is twice as long.
const FIRST_WAIT: i64 = 2;

/// The longest wait, in seconds.
const LONGEST_WAIT: i64 = 3_600;

/// Seconds after which a letter is given up: what is in it (a link) has mostly ended by then.
const GIVE_UP_AFTER: i64 = 24 * 3_600;

/// Seconds that letters stay in the outbox where no mail server is configured.
pub const KEPT_IN_OUTBOX: i64 = 30 * 24 * 3_600;

/// Seconds that letters are kept which were given up.
pub const KEPT_FAILED: i64 = 30 * 24 * 3_600;

/// Seconds after which what was begun is no letter that is being written.
pub const KEPT_BEGUN: i64 = 24 * 3_600;

/// The next try of a letter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Next {
    /// How often it was tried in vain.
    failures: u32,
    /// When it is tried.
    pub at: UnixTime,
}

impl Default for Next {
    fn default() -> Self {
        Self { failures: 0, at: UnixTime(0) }
    }
}

impl Next {
    /// The try after this one failed.
    #[must_use]
    pub fn after_failure(self, now: UnixTime) -> Self {
        let wait = FIRST_WAIT.checked_shl(self.failures.min(16)).unwrap_or(LONGEST_WAIT);
        Self { failures: self.failures.saturating_add(1), at: now + wait.min(LONGEST_WAIT) }
    }
}

/// Whether a letter is too old to be sent, or to be kept where nothing is sent.
#[must_use]
pub fn is_stale(written_at: UnixTime, now: UnixTime, is_sent: bool) -> bool {
    now.0 - written_at.0 >= if is_sent { GIVE_UP_AFTER } else { KEPT_IN_OUTBOX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour() {
        let (mut next, mut now) = (Next::default(), UnixTime(0));
        let mut waits = Vec::new();
        for _ in 0..40 {
            next = next.after_failure(now);
            waits.push(next.at.0 - now.0);
            now = next.at;
        }
        assert_eq!(waits[..12], [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600]);
        assert!(waits[11..].iter().all(|wait| *wait == 3600));
    }

    #[test]
    fn letters_age() {
        for (age, is_sent, stale) in [
            (86_399, true, false),
            (86_400, true, true),
            (86_400, false, false),
            (30 * 86_400, false, true),
            (-5, true, false),
        ] {
            assert_eq!(is_stale(UnixTime(1_000_000), UnixTime(1_000_000 + age), is_sent), stale);
        }
    }
}
