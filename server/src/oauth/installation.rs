//! Native installations: one store's registration, its key, and the key that waits for the merchant's approval.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint};

/// Seconds after which an installation that nobody approved is forgotten, so that nobody can squat on a store.
pub const UNAPPROVED_LIFETIME: i64 = 24 * 3600;

/// Seconds a staged key waits for approval.
pub const STAGED_LIFETIME: i64 = 24 * 3600;

/// One store's registration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Installation {
    /// The platform's profile.
    pub platform: String,
    /// The store's URL.
    pub site_url: String,
    /// Its one callback.
    pub redirect_uri: String,
    /// The plugin's version, as last told.
    pub plugin_version: String,
    /// The platform's version, as last told.
    pub platform_version: Option<String>,
    /// The key in force; none between a reset and the next registration.
    pub key: Option<Thumbprint>,
    /// What takes effect when the merchant approves it.
    pub staged: Option<Staged>,
    /// When it was first registered.
    pub registered_at: UnixTime,
    /// When a merchant first approved it.
    pub approved_at: Option<UnixTime>,
}

/// A key, and perhaps a new address, waiting for the merchant's approval.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Staged {
    /// The key.
    pub key: Thumbprint,
    /// Where the store moved to, and its callback there.
    pub moved_to: Option<Address>,
    /// When it was staged.
    pub at: UnixTime,
}

/// A store's URL and callback.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The store's URL.
    pub site_url: String,
    /// The callback there.
    pub redirect_uri: String,
}

/// Which of an installation's keys a request speaks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Slot {
    /// The key in force.
    Current,
    /// The key that waits for approval.
    Staged,
}

impl Installation {
    /// Whether it was never approved for so long that it counts as forgotten.
    #[must_use]
    pub fn has_lapsed(&self, now: UnixTime) -> bool {
        self.approved_at.is_none() && now.since(self.registered_at) >= UNAPPROVED_LIFETIME
    }

    /// What is staged and has not waited too long.
    #[must_use]
    pub fn staged_at(&self, now: UnixTime) -> Option<&Staged> {
        self.staged.as_ref().filter(|staged| now.since(staged.at) < STAGED_LIFETIME)
    }

    /// The slot that a request with this key and callback speaks for.
    #[must_use]
    pub fn slot(&self, key: &Thumbprint, redirect_uri: &str, now: UnixTime) -> Option<Slot> {
        let current = self.redirect_uri == redirect_uri;
        if current && self.key.is_some_and(|own| own.matches(key)) {
            return Some(Slot::Current);
        }
        let staged = self.staged_at(now)?;
        let address_fits = match &staged.moved_to {
            Some(address) => address.redirect_uri == redirect_uri,
            None => current,
        };
        (address_fits && staged.key.matches(key)).then_some(Slot::Staged)
    }
}

/// A registration that passed its profile's rules and brought a good proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Where the store is.
    pub address: Address,
    /// The key that signed the proof.
    pub key: Thumbprint,
    /// The key that signed `DPoP-Previous`, when there was one.
    pub previous: Option<Thumbprint>,
    /// Whether the profile lets a store move to another URL.
    pub may_move: bool,
}

/// What a registration changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A store nobody knew.
    Create,
    /// The same store with the same key: only its versions may be new.
    Refresh,
    /// A key (and perhaps an address) to wait for approval.
    Stage(Staged),
    /// The first key after a reset, in force at once.
    Rekey,
}

impl Change {
    /// The word in logs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Refresh => "known",
            Self::Rekey => "rekeyed",
            Self::Stage(_) => "staged",
        }
    }
}

/// Why a registration of a known store was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityRefusal {
    /// The store is registered at another address: a copy, or a move that did not prove the key.
    #[error(
        "this registration belongs to a store at another address; a copy of a store registers under its own id"
    )]
    Mismatch,
    /// Another key needs the proof of the key before it.
    #[error("this store is registered with another key; prove that one too, in DPoP-Previous")]
    PreviousRequired,
    /// `DPoP-Previous` is not signed by the key in force.
    #[error("DPoP-Previous is not signed by the key that is registered for this store")]
    PreviousWrong,
}

/// Decides what a registration changes. `known` is the installation with the same identity.
pub fn decide(
    known: Option<&Installation>,
    candidate: &Candidate,
    now: UnixTime,
) -> Result<Change, IdentityRefusal> {
    let Some(known) = known.filter(|known| !known.has_lapsed(now)) else {
        return Ok(Change::Create);
    };
    let own_address = known.site_url == candidate.address.site_url
        && known.redirect_uri == candidate.address.redirect_uri;
    let Some(own_key) = known.key else {
        return if own_address { Ok(Change::Rekey) } else { Err(IdentityRefusal::Mismatch) };
    };
    if !own_address && (!candidate.may_move || candidate.previous.is_none()) {
        return Err(IdentityRefusal::Mismatch);
    }
    if candidate.previous.is_some_and(|previous| !previous.matches(&own_key)) {
        return Err(IdentityRefusal::PreviousWrong);
    }
    let same_key = own_key.matches(&candidate.key);
    if own_address && same_key {
        return Ok(Change::Refresh);
    }
    if candidate.previous.is_none() {
        return Err(IdentityRefusal::PreviousRequired);
    }
    let moved_to = (!own_address).then(|| candidate.address.clone());
    Ok(Change::Stage(Staged { key: candidate.key, moved_to, at: now }))
}

#[cfg(test)]
mod tests;
