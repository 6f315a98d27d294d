//! Which key signs when, and which are published: pure functions of the list of keys and the time.
//!
//! A new key is published first and signs later, when whoever keeps the set for as long as we say has it. The one before
//! signs until then and stays published afterwards, as long as an answer that it signed may be given again.

use counterfoil_protocol::UnixTime;
use serde::{Deserialize, Serialize};

/// Seconds that others may keep the published set of keys (`Cache-Control`).
pub const SET_MAX_AGE: u32 = 60;

/// Seconds between a new key's publication and its first use, unless the operator says otherwise.
pub const NOTICE: u32 = 600;

const _: () = assert!(NOTICE > SET_MAX_AGE, "a key is known everywhere before it signs");

/// Seconds a retired key stays published: as long as an answer it signed may be given again.
pub const RETIRED_LIFETIME: i64 = 90 * 24 * 3600;

/// One key in the index. The private half is in `<kid>.pem` beside it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyRecord {
    /// The key's name in JOSE headers.
    pub kid: String,
    /// Its one algorithm.
    pub alg: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// From when on it signs.
    pub signs_from: UnixTime,
    /// When another takes its place, or took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<UnixTime>,
}

/// What a key does at some time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It is published and signs later.
    Waiting,
    /// It signs.
    Signing,
    /// Another took its place; what it signed is still good.
    Retired,
}

impl KeyRecord {
    /// What it does now.
    #[must_use]
    pub fn state(&self, now: UnixTime) -> State {
        if self.retired_at.is_some_and(|retired| retired <= now) {
            State::Retired
        } else if self.signs_from > now {
            State::Waiting
        } else {
            State::Signing
        }
    }

    /// Until when it is published, once its end is known.
    #[must_use]
    pub fn published_until(&self) -> Option<UnixTime> {
        Some(self.retired_at? + RETIRED_LIFETIME)
    }

    /// Whether others can have it.
    #[must_use]
    pub fn is_published(&self, now: UnixTime) -> bool {
        self.published_until().is_none_or(|end| now < end)
    }
}

/// The key of an algorithm that signs now. A clock that was set back to before all of them finds the first.
#[must_use]
pub fn signer<'a>(
    index: impl IntoIterator<Item = &'a KeyRecord>,
    alg: &str,
    now: UnixTime,
) -> Option<&'a KeyRecord> {
    let known = index.into_iter().filter(|record| record.alg == alg);
    let rank = |record: &&KeyRecord| match record.state(now) {
        State::Signing => (2, record.signs_from.0),
        State::Waiting => (1, -record.signs_from.0),
        State::Retired => (0, record.signs_from.0),
    };
    known.max_by_key(rank).filter(|record| record.state(now) != State::Retired)
}

/// Puts a new key into the index: those of its algorithm sign until it does, and those that wait never will. Answers
/// these, which are in the index no more.
pub fn succeed(index: &mut Vec<KeyRecord>, new: KeyRecord, now: UnixTime) -> Vec<KeyRecord> {
    let unused = index
        .extract_if(.., |record| record.alg == new.alg && record.state(now) == State::Waiting)
        .collect();
    for record in index.iter_mut().filter(|record| record.alg == new.alg) {
        if record.state(now) == State::Signing {
            record.retired_at = Some(new.signs_from);
        }
    }
    index.push(new);
    unused
}

/// What may become of a key that the operator wants gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Removal {
    /// It is in the index no more. One that waited is followed by nothing: the one that signs goes on.
    Done(KeyRecord),
    /// It signs: another must do so first.
    Signs(KeyRecord),
    /// There is none of this name.
    Unknown,
}

/// Takes a key out of the index, at once.
pub fn remove(index: &mut Vec<KeyRecord>, kid: &str, now: UnixTime) -> Removal {
    let Some(at) = index.iter().position(|record| record.kid == kid) else {
        return Removal::Unknown;
    };
    let alg = index[at].alg.clone();
    if signer(&*index, &alg, now).is_some_and(|record| record.kid == kid) {
        return Removal::Signs(index[at].clone());
    }
    let gone = index.remove(at);
    if gone.state(now) == State::Waiting {
        let goes_on = signer(&*index, &alg, now).map(|record| record.kid.clone());
        for record in index.iter_mut().filter(|record| Some(&record.kid) == goes_on.as_ref()) {
            record.retired_at = None;
        }
    }
    Removal::Done(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn key(kid: &str, signs_from: i64, retired_at: Option<i64>) -> KeyRecord {
        KeyRecord {
            kid: kid.to_owned(),
            alg: kid[..1].to_owned(),
            created_at: NOW,
            signs_from: NOW + signs_from,
            retired_at: retired_at.map(|at| NOW + at),
        }
    }

    fn kids(index: &[KeyRecord]) -> Vec<&str> {
        index.iter().map(|record| &*record.kid).collect()
    }

    #[test]
    fn who_signs() {
        let index = [
            key("a1", -900, Some(0)),
            key("a2", 0, Some(600)),
            key("a3", 600, None),
            key("b1", 0, None),
        ];
        for (at, a, b) in [
            (-901, "a1", "b1"),
            (-900, "a1", "b1"),
            (-1, "a1", "b1"),
            (0, "a2", "b1"),
            (599, "a2", "b1"),
            (600, "a3", "b1"),
            (9_999_999, "a3", "b1"),
        ] {
            for (alg, expected) in [("a", a), ("b", b)] {
                let found = signer(&index, alg, NOW + at).map(|record| &*record.kid);
                assert_eq!(found, Some(expected), "{alg} at {at}");
            }
        }
        assert_eq!(signer(&index, "c", NOW), None);
        assert_eq!(signer(&index[..1], "a", NOW), None, "one that is retired signs nothing");
    }

    #[test]
    fn who_is_published() {
        let retired = key("a1", -900, Some(0));
        let end = RETIRED_LIFETIME;
        for (at, expected) in [(-1000, true), (0, true), (end - 1, true), (end, false)] {
            assert_eq!(retired.is_published(NOW + at), expected, "{at}");
        }
        assert!(key("a2", 600, None).is_published(NOW), "before it signs");
        assert!(key("a2", 600, None).is_published(NOW + 2 * end));
    }

    #[test]
    fn one_follows_another() {
        let mut index = vec![key("a0", -900, Some(-1)), key("a1", -1, None), key("b1", 0, None)];
        assert!(succeed(&mut index, key("a2", 600, None), NOW).is_empty());
        let expected = [
            key("a0", -900, Some(-1)),
            key("a1", -1, Some(600)),
            key("b1", 0, None),
            key("a2", 600, None),
        ];
        assert_eq!(index, expected);
        // In an emergency the next signs at once, and the one that waited never does.
        let unused = succeed(&mut index, key("a3", 10, None), NOW + 10);
        assert_eq!(kids(&unused), ["a2"]);
        assert_eq!(index[1], key("a1", -1, Some(10)));
        assert_eq!(signer(&index, "a", NOW + 10).map(|record| &*record.kid), Some("a3"));
        // After its time has come the new one is retired like any other.
        assert!(succeed(&mut index, key("a4", 900, None), NOW + 300).is_empty());
        assert_eq!(index[3], key("a3", 10, Some(900)));
        assert_eq!(index[1], key("a1", -1, Some(10)), "as it was");
    }

    #[test]
    fn taken_out() {
        let whole = [
            key("a0", -900, Some(-1)),
            key("a1", -1, Some(600)),
            key("a2", 600, None),
            key("b1", 0, None),
        ];
        let mut index = whole.to_vec();
        assert_eq!(remove(&mut index, "a9", NOW), Removal::Unknown);
        for (kid, at) in [("a1", 0), ("a1", 599), ("a2", 600), ("b1", 0), ("b1", 600)] {
            let found = remove(&mut index, kid, NOW + at);
            assert!(matches!(found, Removal::Signs(record) if record.kid == kid), "{kid} at {at}");
        }
        assert_eq!(index, whole);
        assert_eq!(remove(&mut index, "a0", NOW), Removal::Done(whole[0].clone()));
        assert_eq!(index, whole[1..]);
        // The one that signs goes on when its successor is gone.
        assert_eq!(remove(&mut index, "a2", NOW), Removal::Done(whole[2].clone()));
        assert_eq!(index, [key("a1", -1, None), key("b1", 0, None)]);
        // And the successor does when the one before is gone.
        let mut index = whole.to_vec();
        assert_eq!(remove(&mut index, "a1", NOW + 600), Removal::Done(whole[1].clone()));
        assert_eq!(kids(&index), ["a0", "a2", "b1"]);
        assert_eq!(index[1], whole[2]);
    }
}
