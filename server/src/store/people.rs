//! Who acts for a company: roles and invitations.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::{Company, Result, User};
use crate::{audit::Actor, people::role::Role};

/// Somebody who acts for a company.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// The person's id.
    pub user_id: String,
    /// The address.
    pub email: String,
    /// The role.
    pub role: Role,
    /// Whether the person has a second factor.
    pub has_code: bool,
}

/// A change of somebody's place in a company.
#[derive(Clone, Debug)]
pub struct RoleChange {
    /// The company.
    pub company_id: String,
    /// Whose place.
    pub user_id: String,
    /// The role; without one the person is removed.
    pub role: Option<Role>,
    /// Who does it.
    pub actor: Actor,
    /// The time now.
    pub now: UnixTime,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RoleChanged {
    /// It is so.
    Done,
    /// The person has no place there.
    Gone,
    /// The last owner stays one.
    LastOwner,
    /// Who does it may not, at this moment.
    NotAllowed,
}

/// An invitation into a company.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invitation {
    /// Its id.
    pub id: String,
    /// SHA-256 of the token in its link.
    pub hash: [u8; 32],
    /// The company.
    pub company: Company,
    /// Who is invited, in lower case.
    pub email: String,
    /// What the person will be.
    pub role: Role,
    /// When it was written.
    pub created_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// What became of an invitation that was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Invited {
    /// It stands; one to the same address before it is gone.
    Done,
    /// The address is a person's who acts for the company already.
    Member,
    /// Too many wait.
    TooMany,
    /// Who invites may not, at this moment, or the company was closed.
    NotAllowed,
}

/// Who takes an invitation up.
#[derive(Clone, Debug)]
pub enum Joiner {
    /// Somebody new, of the address that was invited.
    New(User),
    /// Somebody known, signed in.
    Known {
        /// The person's id.
        user_id: String,
    },
}

/// What became of an invitation that was taken up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Joined {
    /// The person acts for the company.
    Done(Company, Role),
    /// It ended, was withdrawn, or was taken up before.
    Gone,
    /// It is another person's, or the address got an account meanwhile.
    NotTheirs,
}

/// Operations on people by people.
#[async_trait]
pub trait People: Send + Sync {
    /// The people who act for a company, by address.
    async fn people(&self, company_id: &str) -> Result<Vec<Person>>;

    /// Changes or ends somebody's place in a company. The last owner keeps it, and only owners touch owners.
    async fn change_role(&self, change: RoleChange) -> Result<RoleChanged>;

    /// Writes an invitation.
    async fn invite(&self, invitation: Invitation, actor: &Actor) -> Result<Invited>;

    /// The invitations of a company that wait, by address.
    async fn invitations(&self, company_id: &str, now: UnixTime) -> Result<Vec<Invitation>>;

    /// Withdraws an invitation. False when there is none of this id, or the actor may not.
    async fn withdraw_invitation(
        &self,
        company_id: &str,
        id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<bool>;

    /// Finds an invitation by its link, if it still works.
    async fn invitation(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<Invitation>>;

    /// Takes an invitation up, once.
    async fn join(&self, hash: &[u8; 32], joiner: Joiner, now: UnixTime) -> Result<Joined>;

    /// Whether approving for a company needs a second factor.
    async fn approval_needs_code(&self, company_id: &str) -> Result<bool>;

    /// Says whether it does. False when the actor may not.
    async fn set_approval_needs_code(
        &self,
        company_id: &str,
        needed: bool,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<bool>;
}
