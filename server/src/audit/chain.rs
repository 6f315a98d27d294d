//! Walking the chain: record after record, in order.

use counterfoil_protocol::encoding::hex;

use super::{AuditRecord, CUT};

/// Where the trail is not as it was written, and how it shows.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    /// A record is not there.
    #[error("record {id} is missing: after it comes {found}")]
    Missing {
        /// The one that should be there.
        id: i64,
        /// The one that follows instead.
        found: i64,
    },
    /// A record does not say what it said.
    #[error("record {id} was changed: what it says has another hash")]
    Changed {
        /// Which.
        id: i64,
    },
    /// A record does not follow the one before.
    #[error("record {id} does not follow the one before: one of the two was put there later")]
    Unlinked {
        /// Which.
        id: i64,
    },
    /// The beginning was cut off, and no record says so.
    #[error(
        "the trail begins with record {id}, and no later record says that the ones before were removed"
    )]
    Beheaded {
        /// The first that is there.
        id: i64,
    },
}

impl Broken {
    /// The first record of which something is wrong.
    #[must_use]
    pub fn record(&self) -> i64 {
        match self {
            Self::Missing { id, .. }
            | Self::Changed { id }
            | Self::Unlinked { id }
            | Self::Beheaded { id } => *id,
        }
    }
}

/// A walk along the trail, from its first record to its last.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    last: Option<(i64, [u8; 32])>,
    /// What the first record follows, unless it is the very first; until a later one accounts for it.
    unaccounted: Option<(i64, [u8; 32])>,
    first: i64,
    seen: u64,
}

impl Chain {
    /// Takes the next record.
    pub fn take(&mut self, record: &AuditRecord) -> Result<(), Broken> {
        let id = record.id;
        match self.last {
            None => {
                self.first = id;
                if id != 1 {
                    self.unaccounted = Some((id.saturating_sub(1), record.previous));
                } else if record.previous != [0; 32] {
                    return Err(Broken::Unlinked { id });
                }
            }
            Some((last, hash)) => {
                if id != last.saturating_add(1) {
                    return Err(Broken::Missing { id: last.saturating_add(1), found: id });
                }
                if record.previous != hash {
                    return Err(Broken::Unlinked { id });
                }
            }
        }
        if record.true_hash() != record.hash {
            return Err(Broken::Changed { id });
        }
        if record.event == CUT
            && self.unaccounted.is_some_and(|(cut, hash)| {
                record.subject.as_deref() == Some(&*cut.to_string()) && record.detail == hex(&hash)
            })
        {
            self.unaccounted = None;
        }
        self.last = Some((id, record.hash));
        self.seen += 1;
        Ok(())
    }

    /// All records were taken. Answers the last one's id and hash, nothing when there was none.
    pub fn end(&self) -> Result<Option<(i64, [u8; 32])>, Broken> {
        if self.unaccounted.is_some() {
            return Err(Broken::Beheaded { id: self.first });
        }
        Ok(self.last)
    }

    /// How many records were taken.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The first record that was taken.
    #[must_use]
    pub fn first(&self) -> i64 {
        self.first
    }
}
