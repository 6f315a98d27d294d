//! Who called what, counted in memory: a call costs one look into a map, the disk hears once a minute.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use counterfoil_protocol::UnixTime;
use serde_json::{Map, Value};

use super::{Kind, Record};

/// Different callers and calls kept apart between two writings. More are counted as dropped.
const MAX_KEYS: usize = 512;

/// One call, as the door saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called<'a> {
    /// Who, where the kernel said so.
    pub(crate) uid: Option<u32>,
    /// The plugin's name for itself; empty for a caller who was turned away.
    pub(crate) client: &'a str,
    /// The method; `other` for one that nobody takes.
    pub(crate) method: &'static str,
    /// The route, or the pattern of the forwarded path. Never the path itself.
    pub(crate) path: &'static str,
    /// The class of the answer, such as `2xx`, or the code of the problem.
    pub(crate) outcome: &'static str,
}

impl Called<'_> {
    /// This one call as a record.
    pub(super) fn record(&self, at: UnixTime) -> Record {
        let Self { uid, client, method, path, outcome } = *self;
        let (kind, detail) = detail(uid, client, method, path, outcome);
        Record::new(at, kind, None, 1, detail)
    }
}

/// What is told of a call; of one without a client, that it was turned away.
pub(super) fn detail(
    uid: Option<u32>,
    client: &str,
    method: &str,
    path: &str,
    outcome: &str,
) -> (Kind, Map<String, Value>) {
    let kind = if client.is_empty() { Kind::Refused } else { Kind::Called };
    let mut detail = Map::new();
    let mut tell = |name: &str, value: Value| detail.insert(name.to_owned(), value);
    tell("uid", uid.map_or(Value::Null, Value::from));
    if kind == Kind::Called {
        tell("client", client.into());
        tell("method", method.into());
        tell("path", path.into());
    }
    tell("outcome", outcome.into());
    (kind, detail)
}

/// Calls that are alike.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) uid: Option<u32>,
    pub(super) client: String,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) outcome: &'static str,
}

/// How many of them there were.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) first_at: UnixTime,
    pub(super) last_at: UnixTime,
}

/// The counters since the last writing.
#[derive(Default)]
pub(super) struct Calls(Mutex<HashMap<Key, Tally>>);

impl Calls {
    /// Counts one call. `false` when there were too many different ones.
    pub(super) fn count(&self, called: Called<'_>, now: UnixTime) -> bool {
        let Called { uid, client, method, path, outcome } = called;
        let key = Key { uid, client: client.to_owned(), method, path, outcome };
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tallies.len() >= MAX_KEYS && !tallies.contains_key(&key) {
            return false;
        }
        let tally = tallies.entry(key).or_insert(Tally { count: 0, first_at: now, last_at: now });
        tally.count += 1;
        tally.last_at = now;
        true
    }

    /// Takes what was counted.
    pub(super) fn take(&self) -> HashMap<Key, Tally> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(client: &str) -> Called<'_> {
        Called { uid: Some(33), client, method: "GET", path: "/v1/status", outcome: "2xx" }
    }

    #[test]
    fn like_calls_are_one_and_unlike_ones_are_bounded() {
        let calls = Calls::default();
        assert!(
            calls.count(called("shop/1"), UnixTime(10))
                && calls.count(called("shop/1"), UnixTime(12))
        );
        for number in 1..MAX_KEYS {
            let client = format!("shop/{}", number + 1);
            assert!(calls.count(called(&client), UnixTime(12)));
        }
        assert!(!calls.count(called("one-too-many/1"), UnixTime(13)));
        assert!(calls.count(called("shop/1"), UnixTime(14)));
        let tallies = calls.take();
        assert_eq!(tallies.len(), MAX_KEYS);
        let key = Key {
            uid: Some(33),
            client: "shop/1".to_owned(),
            method: "GET",
            path: "/v1/status",
            outcome: "2xx",
        };
        let expected = Tally { count: 3, first_at: UnixTime(10), last_at: UnixTime(14) };
        assert_eq!(tallies.get(&key), Some(&expected));
        assert!(calls.take().is_empty());
    }
}
