//! The replay memory: which proofs were seen, by thumbprint and `jti` (RFC 9449 §11.1).
//!
//! It is kept in memory and written to a log in the data directory, one `write` a proof and never an fsync: what was
//! written survives the end of the process, not of the machine. After that, or when the log is gone, nobody knows what
//! was seen, so proofs made before this start are refused. (A client whose clock runs ahead makes proofs that seem to
//! be made after it; for as long as its clock is ahead those could be played again, once, after a lost machine.)
//!
//! Clocks are set back. A proof is forgotten when it has expired by the clock of that moment, and by an earlier clock it
//! would be good again: so the latest end of all that was forgotten is kept, here and in the log, and what ends no later
//! is refused. Nothing is then known of it. While no clock is set back, what ends so early has expired anyway.

mod log;

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use counterfoil_protocol::{UnixTime, encoding::sha256, proof::Proof};

use self::log::Log;

/// Parts of the memory, each with a lock of its own.
const SHARDS: usize = 64;

/// Proofs remembered at a time, in all: some 400 MB. Nothing is forgotten early to make room; more are refused.
const MAX_PROOFS: usize = 8_000_000;

/// 16 bytes of SHA-256 of thumbprint and `jti`. Never of the proof's bytes: one signature has several spellings.
type Name = [u8; 16];

/// Proofs that were accepted and could still be played again.
pub struct ReplayMemory {
    shards: [Mutex<Shard>; SHARDS],
    log: Option<Mutex<Log>>,
    /// Proofs made until then may have been seen by a server that has forgotten them.
    blind_until: Option<UnixTime>,
}

/// Why a proof that is good otherwise is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Replayed {
    /// It was seen before.
    #[error("this proof was used before; make a new one for every request")]
    Seen,
    /// It was made before the server started without its memory.
    #[error("this proof was made before the server started; make a fresh one")]
    BeforeStart,
    /// It may have been seen and forgotten: the clock was ahead then.
    #[error(
        "the server's clock was set back, and this proof may have been used before; wait, then make a new one"
    )]
    Forgotten,
    /// It could not be remembered.
    #[error("the replay memory cannot take another proof")]
    NotRemembered,
}

#[derive(Default)]
struct Shard {
    seen: HashMap<Name, UnixTime>,
    /// How many proofs there may be before those that have expired are looked for.
    sweep_at: usize,
    /// The latest end of the proofs that were forgotten.
    forgotten: UnixTime,
}

impl ReplayMemory {
    /// Opens the memory in `directory` and reads back what this machine has written since it was started.
    ///
    /// `had_database` says whether a server was here before. One server at a time: a second is refused.
    pub fn open(directory: &Path, had_database: bool, now: UnixTime) -> io::Result<Self> {
        let mut memory = Self::empty();
        let boot = log::boot_id();
        let log = Log::open(
            &directory.join("replay"),
            had_database,
            boot.as_deref(),
            now,
            |name, until| {
                let shard = memory.shard(&name).get_mut();
                shard.unwrap_or_else(PoisonError::into_inner).seen.insert(name, until);
            },
        )?;
        for shard in &mut memory.shards {
            shard.get_mut().unwrap_or_else(PoisonError::into_inner).forgotten = log.forgotten();
        }
        if log.forgotten() > now {
            let until = log.forgotten().0;
            tracing::warn!(
                until,
                "the clock was set back; proofs that end before this are refused"
            );
        }
        memory.blind_until = log.blind_until();
        if memory.blind_until == Some(now) {
            tracing::warn!("the replay memory is gone; proofs made before now are refused");
        }
        memory.log = Some(Mutex::new(log));
        Ok(memory)
    }

    fn empty() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), log: None, blind_until: None }
    }

    /// Remembers a proof that passed every other check, until nobody would accept it any more.
    pub fn remember(
        &self,
        proof: &Proof,
        keep_until: UnixTime,
        now: UnixTime,
    ) -> Result<(), Replayed> {
        if self.blind_until.is_some_and(|start| proof.iat <= start) {
            return Err(Replayed::BeforeStart);
        }
        let mut text = proof.thumbprint.0.to_vec();
        text.extend_from_slice(proof.jti.as_bytes());
        let name: Name = sha256(&text)[..16].try_into().expect("16 of 32 bytes");
        self.shard_of(&name)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, keep_until, now)?;
        self.write(name, keep_until, now)
    }

    /// Writes it down. What cannot be written is not accepted, and is still remembered: it may be in the log.
    fn write(&self, name: Name, until: UnixTime, now: UnixTime) -> Result<(), Replayed> {
        let Some(log) = &self.log else { return Ok(()) };
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.append(name, until, now).map_err(|error| {
            tracing::error!(%error, "the replay memory cannot be written; proofs are refused");
            Replayed::NotRemembered
        })
    }

    fn shard_of(&self, name: &Name) -> &Mutex<Shard> {
        &self.shards[usize::from(name[15]) % SHARDS]
    }

    fn shard(&mut self, name: &Name) -> &mut Mutex<Shard> {
        &mut self.shards[usize::from(name[15]) % SHARDS]
    }
}

impl Shard {
    /// Puts a proof in, unless it is there. Whoever holds the lock first is the one who was not there.
    fn insert(&mut self, name: Name, until: UnixTime, now: UnixTime) -> Result<(), Replayed> {
        if self.seen.len() >= self.sweep_at {
            self.sweep(now);
        }
        if self.seen.get(&name).is_some_and(|until| *until > now) {
            return Err(Replayed::Seen);
        }
        if until <= self.forgotten {
            return Err(Replayed::Forgotten);
        }
        let full = self.seen.len() >= MAX_PROOFS / SHARDS;
        match self.seen.entry(name) {
            Entry::Occupied(mut entry) => {
                entry.insert(until);
                Ok(())
            }
            Entry::Vacant(_) if full => {
                self.sweep_at = 0;
                Err(Replayed::NotRemembered)
            }
            Entry::Vacant(entry) => {
                entry.insert(until);
                Ok(())
            }
        }
    }

    fn sweep(&mut self, now: UnixTime) {
        let forgotten = &mut self.forgotten;
        self.seen.retain(|_, until| {
            let stays = *until > now;
            if !stays {
                *forgotten = (*forgotten).max(*until);
            }
            stays
        });
        self.sweep_at = (self.seen.len() * 2).max(1_024);
    }
}

/// A memory without a log, for tests of other things.
#[cfg(test)]
impl Default for ReplayMemory {
    fn default() -> Self {
        Self::empty()
    }
}

#[cfg(test)]
mod tests;
