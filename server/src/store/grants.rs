//! Grants, codes and token families.

use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, jwk::Thumbprint, scope::ScopeSet};

use super::Result;
use crate::{
    audit::Actor,
    oauth::{
        code::Code,
        grant::{EndReason, Family, Grant, Receipt},
        recovery::RecoveryRecord,
    },
};

/// A family to be stored.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// Its id.
    pub id: [u8; 16],
    /// The grant it lives on.
    pub grant_id: String,
    /// What its tokens may do.
    pub scope: ScopeSet,
    /// The resource.
    pub resource: String,
    /// The key.
    pub key: Option<Thumbprint>,
    /// SHA-256 of its first refresh token.
    pub token_hash: [u8; 32],
    /// When it ends unless it is used.
    pub expires_at: Option<UnixTime>,
}

/// A code exchange, to be written.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// SHA-256 of the code.
    pub code: [u8; 32],
    /// The family it gives.
    pub family: NewFamily,
    /// The answer, kept for a retry.
    pub receipt: Option<Receipt>,
    /// Whether the client has one family and one grant at a time: native installations.
    pub sole: bool,
    /// The time now.
    pub now: UnixTime,
}

/// A refresh, to be written.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The family.
    pub family: [u8; 16],
    /// The generation as it was read.
    pub from: u32,
    /// The new generation.
    pub to: u32,
    /// SHA-256 of the new refresh token.
    pub token_hash: [u8; 32],
    /// The answer, kept for a retry.
    pub receipt: Option<Receipt>,
    /// When the family ends unless it is used again.
    pub expires_at: Option<UnixTime>,
    /// The time now.
    pub now: UnixTime,
}

/// A recovery, to be written.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The installation.
    pub client_id: String,
    /// The family it gives; every other of the installation ends.
    pub family: NewFamily,
    /// SHA-256 of the `Idempotency-Key`.
    pub idempotency: [u8; 32],
    /// The answer, kept for a retry.
    pub receipt: Receipt,
    /// How many recoveries were counted when it was decided.
    pub counted: usize,
    /// The time now.
    pub now: UnixTime,
}

/// A key rotation, to be written.
#[derive(Clone, Debug)]
pub struct KeyRotation {
    /// The installation.
    pub client_id: String,
    /// The family that ends.
    pub ended: [u8; 16],
    /// Its generation as it was read.
    pub generation: u32,
    /// The key of that family, in force for the installation as it was read.
    pub old_key: Thumbprint,
    /// The family that follows, bound to the new key.
    pub family: NewFamily,
    /// The answer, kept for a retry until the first refresh token of the new family is used.
    pub receipt: Receipt,
    /// The time now.
    pub now: UnixTime,
}

/// Whether a conditional write was the one that won.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// Written.
    Done,
    /// The row was no longer as it was read: read and decide again.
    Raced,
}

/// Where an access token stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccessStanding {
    /// Its grant and its family stand, and it was not revoked.
    Good,
    /// Something it rests on has ended.
    Ended,
}

/// Operations on grants, codes and families.
#[async_trait]
pub trait Grants: Send + Sync {
    /// Finds a code by its hash.
    async fn code(&self, hash: &[u8; 32]) -> Result<Option<Code>>;

    /// Redeems a code, if nobody has: stores its family and, for a sole client, ends every other family and grant.
    async fn redeem_code(&self, redemption: Redemption) -> Result<Written>;

    /// Finds a family by its id.
    async fn family(&self, id: &[u8; 16]) -> Result<Option<Family>>;

    /// Rotates a family's refresh token, if nobody has.
    async fn rotate_refresh_token(&self, rotation: Rotation) -> Result<Written>;

    /// Ends a family. Its access tokens die with it.
    async fn end_family(
        &self,
        id: &[u8; 16],
        reason: EndReason,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<()>;

    /// Ends a grant with all its codes and families.
    async fn end_grant(
        &self,
        id: &str,
        reason: EndReason,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<()>;

    /// Forgets families that ended before a time, but those whose reuse the merchant has not approved over yet.
    async fn forget_ended(&self, before: UnixTime) -> Result<()>;

    /// Finds a grant, whatever became of it.
    #[cfg(test)]
    async fn grant(&self, id: &str) -> Result<Option<Grant>>;

    /// The standing grant of a native installation of which a code was redeemed.
    async fn redeemed_grant(&self, client_id: &str) -> Result<Option<Grant>>;

    /// What the merchant approved last.
    async fn granted_scope(&self, id: &str) -> Result<ScopeSet>;

    /// The companies, among those a person acts for, with a standing grant for a client of which a code was redeemed.
    async fn connected_companies(&self, client_id: &str, user_id: &str) -> Result<Vec<String>>;

    /// The grant of an application on its own company (client credentials), made when there is none.
    async fn own_grant(
        &self,
        client_id: &str,
        company_id: &str,
        new_id: &str,
        scope: &ScopeSet,
        now: UnixTime,
    ) -> Result<Grant>;

    /// When families ended by reuse signed with the bound key since the merchant last approved, newest first.
    async fn reuses(&self, client_id: &str) -> Result<Vec<UnixTime>>;

    /// The recoveries of an installation since `since`, newest first.
    async fn recoveries(&self, client_id: &str, since: UnixTime) -> Result<Vec<RecoveryRecord>>;

    /// Gives a new family for a proof of the key, if that is still in force and no recovery was given meanwhile.
    async fn recover(&self, recovery: Recovery) -> Result<Written>;

    /// Puts a new key and a family bound to it in the place of an installation's key and family, if both are still as
    /// they were read. All that the old key could still open ends with it: a code on its way, a staged key.
    async fn rotate_key(&self, rotation: KeyRotation) -> Result<Written>;

    /// Revokes one access token until it would have expired anyway.
    async fn revoke_access(&self, jti: &str, expires_at: UnixTime) -> Result<()>;

    /// Whether an access token's grant and family stand.
    async fn standing(
        &self,
        jti: &str,
        grant_id: &str,
        family: Option<&[u8; 16]>,
        now: UnixTime,
    ) -> Result<AccessStanding>;
}
