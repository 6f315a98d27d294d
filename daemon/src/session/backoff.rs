//! How long to wait after a failure that may pass.

use counterfoil_protocol::UnixTime;

use super::Context;

/// The longest wait of our own choosing, in seconds.
const LONGEST: i64 = 300;

/// The longest wait that a server's `Retry-After` can ask of us, in seconds.
const LONGEST_ASKED: i64 = 900;

/// Failures in a row and when to try again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Backoff {
    failures: u32,
    retry_at: Option<UnixTime>,
}

impl Backoff {
    /// Counts a failure: 1 s, doubled each time up to 5 minutes, a quarter or less taken off by chance.
    pub(super) fn fail(&mut self, retry_after: Option<i64>, cx: &Context<'_>) {
        let own = (1_i64 << self.failures.min(9)).min(LONGEST);
        let trimmed = own - own / 8 + cx.entropy.jitter(own / 8, 10);
        let asked = retry_after.map_or(0, |seconds| seconds.clamp(0, LONGEST_ASKED));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(cx.now + trimmed.max(asked).max(1));
    }

    /// When something that was due at `due` may be tried.
    pub(super) fn due(&self, due: UnixTime) -> UnixTime {
        self.retry_at.unwrap_or(due)
    }

    /// Whether the wait is over.
    ///
    /// A clock that was set back must not stretch the wait, so a time further away than any wait is over too.
    pub(super) fn is_over(&self, now: UnixTime) -> bool {
        self.retry_at.is_none_or(|at| now >= at || at.since(now) > LONGEST_ASKED)
    }

    /// When what failed is tried again.
    pub(super) fn retry_at(&self) -> Option<UnixTime> {
        self.retry_at
    }

    /// Seconds left to wait.
    pub(super) fn remaining(&self, now: UnixTime) -> i64 {
        self.retry_at.map_or(0, |at| at.since(now).max(0))
    }
}

#[cfg(test)]
mod tests {
    use crate::session::samples::{self, NOW};

    use super::*;

    #[test]
    fn waits_grow_to_five_minutes_and_listen_to_the_server() {
        let world = samples::World::default();
        let mut backoff = Backoff::default();
        let mut last = 0;
        for _ in 0..40 {
            backoff.fail(None, &world.at(NOW));
            let wait = backoff.remaining(NOW);
            assert!((1..=LONGEST).contains(&wait), "{wait}");
            assert!(wait * 2 >= last, "{wait} after {last}");
            last = wait;
        }
        assert!(last >= LONGEST * 3 / 4, "{last}");
        backoff.fail(Some(600), &world.at(NOW));
        assert_eq!(backoff.remaining(NOW), 600);
        backoff.fail(Some(1_000_000), &world.at(NOW));
        assert_eq!(backoff.remaining(NOW), LONGEST_ASKED);
        assert!(!backoff.is_over(NOW));
        assert!(backoff.is_over(NOW + LONGEST_ASKED));
        assert!(backoff.is_over(NOW - 7_200), "a clock set back does not stretch the wait");
    }
}
