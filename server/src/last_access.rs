//! When each connection was last used. Kept in memory and written in batches, so that a call costs no write.
//!
//! A kill loses what was noted since the last batch, about a minute; a stop writes it first.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use counterfoil_protocol::UnixTime;

use crate::store::{Connections, Result};

/// Maps that are locked apart from each other. A lock is held for one look into a map, some fifty nanoseconds, so calls
/// of different connections seldom meet, and calls of one wait for no longer than that.
const SHARDS: usize = 16;

/// The most that one write takes: everybody else's writes wait behind it.
const PORTION: usize = 500;

type Times = HashMap<String, UnixTime>;

/// The uses that are not written yet.
#[derive(Default)]
pub struct LastAccess {
    shards: [Mutex<Times>; SHARDS],
    hasher: RandomState,
}

impl LastAccess {
    /// Notes that a connection was used. A connection that was used since the last batch costs no allocation.
    pub fn note(&self, grant_id: &str, now: UnixTime) {
        let mut times = self.shard(grant_id);
        match times.get_mut(grant_id) {
            Some(at) => *at = now.max(*at),
            None => drop(times.insert(grant_id.to_owned(), now)),
        }
    }

    /// The newer of what is noted here and what was `written`.
    #[must_use]
    pub fn newest(&self, grant_id: &str, written: Option<UnixTime>) -> Option<UnixTime> {
        let noted = self.shard(grant_id).get(grant_id).copied();
        noted.max(written)
    }

    /// Writes what was noted. What cannot be written is noted again.
    pub async fn flush(&self, store: &(impl Connections + ?Sized)) -> Result<()> {
        let taken = self.shards.iter().flat_map(|shard| mem::take(&mut *lock(shard)));
        let mut taken: Vec<(String, UnixTime)> = taken.collect();
        while !taken.is_empty() {
            let portion = taken.split_off(taken.len().saturating_sub(PORTION));
            if let Err(error) = store.note_access(portion.clone()).await {
                for (grant_id, at) in taken.into_iter().chain(portion) {
                    self.note(&grant_id, at);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn shard(&self, grant_id: &str) -> MutexGuard<'_, Times> {
        let hash = self.hasher.hash_one(grant_id);
        lock(&self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or_default()])
    }
}

/// A map is whole at every moment, so a panic elsewhere spoils none.
fn lock(shard: &Mutex<Times>) -> MutexGuard<'_, Times> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[test]
    fn the_newest_use_counts() {
        let access = LastAccess::default();
        assert_eq!(access.newest("a", None), None);
        assert_eq!(access.newest("a", Some(UnixTime(5))), Some(UnixTime(5)));
        for at in [7, 9, 8] {
            access.note("a", UnixTime(at));
        }
        for (written, newest) in [(None, 9), (Some(8), 9), (Some(10), 10)] {
            assert_eq!(access.newest("a", written.map(UnixTime)), Some(UnixTime(newest)));
        }
        assert_eq!(access.newest("b", None), None);
    }

    #[tokio::test]
    async fn a_batch_leaves_nothing_behind() {
        let server = TestServer::start();
        let access = LastAccess::default();
        // Of grants that are gone nothing is kept, and they hinder nobody.
        let many = 2 * PORTION + 1;
        for i in 0..many {
            access.note(&format!("grant {i}"), UnixTime(1));
        }
        access.flush(&*server.app.store).await.expect("writes");
        for i in 0..many {
            assert_eq!(access.newest(&format!("grant {i}"), None), None);
        }
    }
}
