//! How often a caller may ask: a token bucket for each caller and kind of call, as one time each (GCRA).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Callers that are remembered at a time. More share one bucket.
const MOST: usize = 4_096;

/// Whose asking is counted.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Who {
    /// Everybody for whom there is no room.
    Others,
    /// A plugin at the port, by the name that its token belongs to.
    Plugin(String),
    /// A user at a socket.
    User(u32),
}

/// What is counted apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Kind {
    /// Calls that go to the platform, and signatures for such.
    Calls,
    /// Everything else.
    Control,
    /// Answers to challenges, which strangers can have asked for.
    Challenges,
}

/// How often.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rate {
    /// In the long run, for each second.
    pub(super) per_second: u32,
    /// At once, after a pause.
    pub(super) burst: u32,
}

/// What has been asked of late.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<Buckets>);

/// For each bucket, the time at which it will be full again: one that is full need not be remembered.
type Buckets = HashMap<(Who, Kind), Duration>;

impl Rates {
    /// Takes one from the caller's bucket at the time `now` of a clock that only goes forward; or says how long to wait.
    pub(super) fn take(
        &self,
        who: &Who,
        kind: Kind,
        rate: Rate,
        now: Duration,
    ) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (who.clone(), kind);
        if buckets.len() >= MOST && !buckets.contains_key(&key) {
            buckets.retain(|_, full_at| *full_at > now);
            if buckets.len() >= MOST {
                key.0 = Who::Others;
            }
        }
        let interval = Duration::from_secs(1) / rate.per_second.max(1);
        let capacity = interval * rate.burst.max(1);
        let full_at = buckets.get(&key).copied().unwrap_or_default().max(now) + interval;
        if let Some(wait) = full_at.checked_sub(now + capacity)
            && !wait.is_zero()
        {
            return Err(wait);
        }
        buckets.insert(key, full_at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    fn at(ms: u64) -> Duration {
        Duration::from_secs(100) + Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rates = Rates::default();
        let take = |ms| rates.take(&Who::User(33), Kind::Calls, RATE, at(ms));
        for (ms, expected) in [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Err(Duration::from_millis(100))),
            (40, Err(Duration::from_millis(60))),
            (100, Ok(())),
            (100, Err(Duration::from_millis(100))),
            (200, Ok(())),
            (10_000, Ok(())),
            (10_000, Ok(())),
            (10_000, Ok(())),
            (10_000, Err(Duration::from_millis(100))),
        ] {
            assert_eq!(take(ms), expected, "{ms} ms");
        }
    }

    #[test]
    fn one_caller_takes_nothing_from_another() {
        let rates = Rates::default();
        let one = Rate { per_second: 1, burst: 1 };
        let take = |who: &Who, kind| rates.take(who, kind, one, at(0)).is_ok();
        for who in [Who::User(33), Who::User(34), Who::Plugin("shop".to_owned())] {
            for kind in [Kind::Calls, Kind::Control] {
                assert!(take(&who, kind), "{who:?} {kind:?}");
                assert!(!take(&who, kind), "{who:?} {kind:?}");
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let rates = Rates::default();
        let count = || rates.0.lock().expect("a lock").len();
        for uid in 0..10_000 {
            let _ = rates.take(&Who::User(uid), Kind::Calls, RATE, at(0));
        }
        assert_eq!(count(), MOST + 1);
        assert!(rates.take(&Who::User(20_000), Kind::Calls, RATE, at(0)).is_err(), "others share");
        assert!(rates.take(&Who::User(20_000), Kind::Calls, RATE, at(60_000)).is_ok());
        assert_eq!(count(), 1, "full buckets are forgotten");
    }

    #[test]
    fn a_rate_of_nothing_is_still_one() {
        let rates = Rates::default();
        let never = Rate { per_second: 0, burst: 0 };
        assert!(rates.take(&Who::User(1), Kind::Calls, never, at(0)).is_ok());
        assert!(rates.take(&Who::User(1), Kind::Calls, never, at(0)).is_err());
    }
}
