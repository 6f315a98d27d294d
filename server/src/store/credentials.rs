//! What people prove who they are with, and change themselves: passwords, second factors, sessions.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::{Result, Session, User};
use crate::{
    audit::Actor,
    people::second_factor::{FactorOutcome, SecondFactor},
};

/// A person's new password, set by the person.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// The person.
    pub user_id: String,
    /// The hash that the old password was found right for.
    pub was: String,
    /// The hash of the new one.
    pub becomes: String,
    /// The session that goes on, under a new name. Every other one ends.
    pub session: Session,
    /// The time now.
    pub now: UnixTime,
}

/// A browser that is signed in, as its person is shown it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionEntry {
    /// SHA-256 of the cookie.
    pub hash: [u8; 32],
    /// When it began.
    pub created_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
    /// What browser it said it was, in a word or two.
    pub browser: String,
    /// The address it signed in from.
    pub address: String,
    /// The provider that the person signed in through, by its name in the settings.
    pub provider: Option<String>,
}

/// The use of a code or a recovery code.
#[derive(Clone, Debug)]
pub struct FactorUse {
    /// The person.
    pub user_id: String,
    /// The factor as it was read.
    pub seen: SecondFactor,
    /// What follows from the code.
    pub becomes: FactorOutcome,
    /// The time now.
    pub now: UnixTime,
}

/// Operations on what people prove who they are with.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// Sets a new password, ends every session of the person, and starts one under a new name. False when the password
    /// was changed meanwhile.
    async fn change_password(&self, change: PasswordChange) -> Result<bool>;

    /// Stores a link to a new password; the person's one before is dead.
    async fn start_reset(
        &self,
        user_id: &str,
        hash: [u8; 32],
        now: UnixTime,
        expires_at: UnixTime,
    ) -> Result<()>;

    /// Whose link to a new password this is, if it still works.
    async fn reset_of(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<User>>;

    /// Spends a link: the password is set and every session ends. Nothing when it does not work any more.
    async fn finish_reset(
        &self,
        hash: &[u8; 32],
        password_hash: String,
        now: UnixTime,
    ) -> Result<Option<User>>;

    /// The browsers in which a person is signed in, newest first.
    async fn sessions(&self, user_id: &str, now: UnixTime) -> Result<Vec<SessionEntry>>;

    /// Ends a person's sessions but for the one to be kept, or only the one named. Answers how many.
    async fn end_sessions(
        &self,
        user_id: &str,
        only: Option<[u8; 32]>,
        keep: Option<[u8; 32]>,
        now: UnixTime,
    ) -> Result<usize>;

    /// Finds a session that waits for the second factor.
    async fn half_session(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<Session>>;

    /// A person's second factor, being set up or in use.
    async fn second_factor(&self, user_id: &str) -> Result<Option<SecondFactor>>;

    /// Begins to set up a second factor, in the place of one that was begun. False when one is in use.
    async fn begin_second_factor(&self, user_id: &str, sealed: Vec<u8>) -> Result<bool>;

    /// Puts a second factor into use, with hashes of its recovery codes, and ends the person's other sessions. False
    /// when it was changed meanwhile.
    async fn confirm_second_factor(
        &self,
        used: FactorUse,
        recovery_codes: Vec<[u8; 32]>,
        keep: [u8; 32],
    ) -> Result<bool>;

    /// Uses a code, once, or counts one that was wrong. False when somebody else was first.
    async fn use_factor(&self, used: FactorUse) -> Result<bool>;

    /// Notes that a session's person has just given the second factor: from then on it has another name. False when it
    /// has ended.
    async fn prove_session(
        &self,
        hash: &[u8; 32],
        becomes: &[u8; 32],
        now: UnixTime,
    ) -> Result<bool>;

    /// Takes a second factor out of use. False when there is none.
    async fn remove_second_factor(
        &self,
        user_id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<bool>;
}
