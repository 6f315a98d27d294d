//! Companies, the people who act for them, and their browser sessions.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::Result;
use crate::{audit::Actor, people::role::Role};

/// A company: whose money it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Company {
    /// Its id in tokens.
    pub id: String,
    /// Its name, unique.
    pub name: String,
}

/// A person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// The person's id.
    pub id: String,
    /// The address they sign in with, in lower case.
    pub email: String,
    /// argon2id in PHC form.
    pub password_hash: String,
    /// When they were shut out.
    pub disabled_at: Option<UnixTime>,
}

/// A person's place in a company.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Membership {
    /// The company.
    pub company: Company,
    /// The role.
    pub role: Role,
}

/// A browser that is signed in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// SHA-256 of the cookie.
    pub hash: [u8; 32],
    /// Who is signed in.
    pub user_id: String,
    /// When it ends.
    pub expires_at: UnixTime,
    /// Whether it still waits for the second factor: then it opens nothing but the page that asks for that.
    pub half: bool,
    /// When the second factor was last given.
    pub proved_at: Option<UnixTime>,
    /// What browser it said it was, in a word or two.
    pub browser: String,
    /// The address it signed in from.
    pub address: String,
    /// The provider that the person signed in through, by its name in the settings.
    pub provider: Option<String>,
    /// When the person last proved at the provider who they are, because we asked.
    pub confirmed_at: Option<UnixTime>,
}

/// A code that carries a session to the developers' host.
#[derive(Clone, Debug)]
pub struct HandOver {
    /// SHA-256 of the code.
    pub hash: [u8; 32],
    /// The session.
    pub session: [u8; 32],
    /// SHA-256 of the cookie that the browser has at the developers' host.
    pub browser: [u8; 32],
    /// When the code ends.
    pub expires_at: UnixTime,
}

/// Operations on companies, people and sessions.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Adds a company. False when the name is taken.
    #[cfg(test)]
    async fn add_company(&self, company: Company, now: UnixTime) -> Result<bool>;

    /// Finds an open company by its name or id.
    async fn company(&self, name_or_id: &str) -> Result<Option<Company>>;

    /// Closes a company, by its name or id, and ends every grant of it. Answers how many; nothing when there is no such
    /// company, or it was closed before.
    async fn close_company(
        &self,
        name_or_id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Option<usize>>;

    /// Adds a person, or finds that the address is known: then false, and nothing is changed.
    #[cfg(test)]
    async fn add_user(&self, user: User, now: UnixTime) -> Result<bool>;

    /// Gives a person a place in a company, or another role there.
    #[cfg(test)]
    async fn add_membership(&self, user_id: &str, company_id: &str, role: Role) -> Result<()>;

    /// Finds a person by address, in lower case.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>>;

    /// Finds a person by id.
    async fn user(&self, id: &str) -> Result<Option<User>>;

    /// The open companies a person acts for, by name.
    async fn memberships(&self, user_id: &str) -> Result<Vec<Membership>>;

    /// Starts a session.
    async fn start_session(&self, session: Session, now: UnixTime) -> Result<()>;

    /// Finds a session that has not ended, of a person who is not shut out.
    async fn session(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<Session>>;

    /// Ends a session, at the developers' host too.
    async fn end_session(&self, hash: &[u8; 32]) -> Result<()>;

    /// Keeps a code by which a session that stands can be taken to the developers' host.
    async fn hand_over(&self, code: HandOver, now: UnixTime) -> Result<()>;

    /// Takes a session up at the developers' host: the code is spent, and `cookie` (SHA-256) names the session there from
    /// now on. False when the code ended, was spent, or is another browser's.
    async fn take_over(
        &self,
        code: &[u8; 32],
        browser: &[u8; 32],
        cookie: &[u8; 32],
        now: UnixTime,
    ) -> Result<bool>;

    /// Finds the session that a cookie of the developers' host names, as [`Accounts::session`] does.
    async fn portal_session(&self, cookie: &[u8; 32], now: UnixTime) -> Result<Option<Session>>;
}
