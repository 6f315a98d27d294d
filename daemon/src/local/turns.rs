//! Shares of what there is: connections and calls under way, so that no caller takes everything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rates::Who;

/// Descriptors that are never given away: the journal, its directory, the log, the doors, name resolution, and the
/// way to the platform for the daemon's own calls.
const RESERVE: u64 = 48;

/// Connections of the owner, apart from all others, so that he can always ask what is wrong.
pub(super) const OWNERS: usize = 16;

/// How much there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Room {
    /// Connections of plugins at a time.
    pub(super) connections: usize,
    /// Forwarded calls under way at a time.
    pub(super) calls: usize,
}

impl Room {
    /// What a limit of `descriptors` leaves room for: one for a connection, one for a call's way to the platform.
    pub(super) fn within(descriptors: u64) -> Self {
        let free = descriptors.saturating_sub(RESERVE + OWNERS as u64);
        let half = usize::try_from(free / 2).unwrap_or(usize::MAX);
        Self { connections: half.clamp(4, 2_048), calls: half.clamp(2, 256) }
    }
}

/// Connections, counted for each user.
#[derive(Debug)]
pub(super) struct Shares {
    most: usize,
    held: Mutex<HashMap<Who, usize>>,
}

/// One connection of somebody's.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Shares>,
    who: Who,
}

impl Shares {
    /// Shares of at most `most` for each.
    pub(super) fn of(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// Counts one more, if `who` may have one more.
    pub(super) fn take(self: &Arc<Self>, who: Who) -> Option<Share> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(who.clone()).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { of: Arc::clone(self), who })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.who);
            }
        }
    }
}

/// Calls under way: so many altogether, half as many for one caller; the others wait for their turn.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    each: usize,
    callers: Mutex<HashMap<Who, Weak<Semaphore>>>,
}

/// One call's turn.
#[derive(Debug)]
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Turns {
    /// Turns for at most `most` calls at a time.
    pub(super) fn of(most: usize) -> Self {
        let all = Arc::new(Semaphore::new(most));
        Self { all, each: (most / 2).max(1), callers: Mutex::default() }
    }

    /// Waits for a turn of `who`'s. Whoever waits for his own share keeps nobody else waiting.
    pub(super) async fn wait(&self, who: &Who) -> Option<Turn> {
        let own = self.semaphore_of(who).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn { _own: own, _all: all })
    }

    fn semaphore_of(&self, who: &Who) -> Arc<Semaphore> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.get(who).and_then(Weak::upgrade) {
            return known;
        }
        // Every turn holds its caller's semaphore, so there are as many as calls wait or run.
        callers.retain(|_, caller| caller.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.each));
        callers.insert(who.clone(), Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn descriptors_are_kept_in_reserve() {
        for (descriptors, connections, calls) in
            [(0, 4, 2), (64, 4, 2), (128, 32, 32), (1_024, 480, 256), (524_288, 2_048, 256)]
        {
            let room = Room::within(descriptors);
            assert_eq!(room, Room { connections, calls }, "{descriptors}");
            let taken = (room.connections + room.calls + OWNERS) as u64;
            assert!(descriptors < 128 || taken + RESERVE <= descriptors, "{descriptors}");
        }
    }

    #[test]
    fn a_user_has_a_share_of_the_connections() {
        let shares = Shares::of(2);
        let take = |uid| shares.take(Who::User(uid));
        let (first, _second) = (take(33).expect("free"), take(33).expect("free"));
        assert!(take(33).is_none());
        let other = take(34).expect("another's");
        drop(first);
        assert!(take(33).is_some());
        drop(other);
        assert_eq!(shares.held.lock().expect("a lock").len(), 1, "who has none is forgotten");
    }

    #[tokio::test]
    async fn a_caller_waits_for_his_own_calls_only() {
        let turns = Turns::of(4);
        let turn = async |uid| turns.wait(&Who::User(uid)).await;
        let (first, _second) = (turn(33).await.expect("free"), turn(33).await.expect("free"));
        assert!(turn(33).now_or_never().is_none(), "half is one caller's share");
        let (_third, _fourth) = (turn(34).await.expect("free"), turn(34).await.expect("free"));
        assert!(turn(35).now_or_never().is_none(), "nothing is left");
        drop(first);
        assert!(turn(35).now_or_never().flatten().is_some());
        assert!(turn(33).now_or_never().flatten().is_some());
        assert_eq!(turns.callers.lock().expect("a lock").len(), 3);
        assert!(turn(36).now_or_never().flatten().is_some());
        assert_eq!(turns.callers.lock().expect("a lock").len(), 3, "who has none is forgotten");
    }
}
