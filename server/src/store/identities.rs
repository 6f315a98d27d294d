//! Whom external OpenID providers mean: links between their subjects and our people, and browsers on the way to them.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::{Result, Session, User};
use crate::{
    audit::Actor,
    people::provider::{Provided, Purpose},
};

/// A browser on its way to a provider and back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// SHA-256 of the `state` that it carries.
    pub state: [u8; 32],
    /// SHA-256 of the cookie of the browser that began.
    pub visit: [u8; 32],
    /// The provider's name in the settings.
    pub provider: String,
    /// What for.
    pub purpose: Purpose,
    /// Where it goes on afterwards.
    pub destination: Option<String>,
    /// When it began.
    pub started_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// Whom a provider means, and who that is here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The provider's issuer identifier.
    pub issuer: String,
    /// Whom the provider means.
    pub subject: String,
    /// Who that is here.
    pub user_id: String,
    /// The address that the provider gave when it was linked; empty when it gave none.
    pub email: String,
    /// When it was linked.
    pub linked_at: UnixTime,
    /// When somebody last signed in with it.
    pub used_at: Option<UnixTime>,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Linked {
    /// It is there, or was before.
    Done,
    /// The subject is somebody else's.
    Taken,
    /// The person has another subject of this issuer, or something that must be so is not.
    Occupied,
    /// There is no such person, or the person is shut out.
    Gone,
}

/// What became of a person who was to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Made {
    /// The person is there, and linked.
    Done,
    /// The address or the subject got an account meanwhile.
    Taken,
    /// No invitation to the address waits.
    NotInvited,
}

/// What became of a link that was to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unlinked {
    /// It has ended.
    Done,
    /// There is none.
    Gone,
    /// Nothing else would be left to sign in with.
    LastWay,
}

/// What is noted of a provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Noted {
    /// Somebody signed in through it.
    SignedIn,
    /// Its answer was refused, for this reason.
    Refused(&'static str),
}

/// What somebody could sign in with, if the account has it.
#[derive(Clone, Debug)]
pub struct Ways {
    /// Whether passwords are taken.
    pub passwords: bool,
    /// The issuers of the providers in the settings.
    pub issuers: Vec<String>,
}

/// Operations on links to external providers.
#[async_trait]
pub trait Identities: Send + Sync {
    /// Stores an attempt. False when too many are under way.
    async fn start_attempt(&self, attempt: Attempt) -> Result<bool>;

    /// Spends an attempt: it is found once, in the browser that began it, before it ends. Another browser spends nothing.
    async fn take_attempt(
        &self,
        state: &[u8; 32],
        visit: &[u8; 32],
        now: UnixTime,
    ) -> Result<Option<Attempt>>;

    /// Whom a provider means by a subject, shut out or not.
    async fn identity(&self, issuer: &str, subject: &str) -> Result<Option<User>>;

    /// A person's links, by issuer.
    async fn identities(&self, user_id: &str) -> Result<Vec<Identity>>;

    /// Links a subject to a person.
    async fn link(&self, identity: Identity, provided: Provided) -> Result<Linked>;

    /// Whether an invitation to this address waits.
    async fn is_invited(&self, email: &str, now: UnixTime) -> Result<bool>;

    /// Makes a person of a subject; with `invited`, only if an invitation to the address waits.
    async fn make_person(&self, user: User, identity: Identity, invited: bool) -> Result<Made>;

    /// Starts the session of somebody who signed in with a subject, in the place of the one before. False when that is no
    /// longer the person's.
    async fn sign_in_through(
        &self,
        (issuer, subject): (&str, &str),
        session: Session,
        before: Option<[u8; 32]>,
        now: UnixTime,
    ) -> Result<bool>;

    /// Notes that a session's person has just proved at the provider who they are; with `second_factor`, with one. From
    /// then on the session has another name. False when it has ended.
    async fn confirm_session(
        &self,
        hash: &[u8; 32],
        becomes: &[u8; 32],
        second_factor: bool,
        now: UnixTime,
    ) -> Result<bool>;

    /// Ends a link, and the sessions that began with that provider but for the one to be kept.
    async fn unlink(
        &self,
        user_id: &str,
        (issuer, provider): (&str, &str),
        ways: Ways,
        keep: [u8; 32],
        now: UnixTime,
    ) -> Result<Unlinked>;

    /// Notes what somebody did through a provider.
    async fn note_provider(
        &self,
        actor: &Actor,
        noted: Noted,
        provider: &str,
        now: UnixTime,
    ) -> Result<()>;
}
