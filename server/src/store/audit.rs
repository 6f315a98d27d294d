//! Reading the audit trail. It is written by the operations that change something, in their own transactions.

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::Result;
use crate::audit::{Actor, AuditRecord};

/// Which records of the trail. What is not said is not asked for.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Those about this client.
    pub client_id: Option<String>,
    /// Those about this company.
    pub company_id: Option<String>,
    /// From this second on.
    pub since: Option<UnixTime>,
    /// Before this second.
    pub until: Option<UnixTime>,
}

impl AuditQuery {
    /// Those about one client. They outlive it.
    #[must_use]
    pub fn client(id: &str) -> Self {
        Self { client_id: Some(id.to_owned()), ..Self::default() }
    }
}

/// Something that was done and changed nothing else in the store: a backup, a signing key.
#[derive(Clone, Debug)]
pub struct Deed {
    /// When.
    pub at: UnixTime,
    /// What, in one word.
    pub event: &'static str,
    /// Who did it.
    pub actor: Actor,
    /// What it was done to.
    pub subject: Option<String>,
    /// What else is to say.
    pub detail: String,
}

/// Operations on the audit trail.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Notes what changed nothing else here.
    async fn note_deed(&self, deed: Deed) -> Result<()>;

    /// Cuts off the records before a time and notes where, so that the rest can still be verified. Answers how many:
    /// a bounded number at a time, and none as long as the oldest is not a day older than that.
    async fn cut_audit(&self, before: UnixTime, now: UnixTime) -> Result<usize>;

    /// The newest `limit` records, newest first; those before the record `before`, if that is given.
    async fn newest_audit(
        &self,
        query: &AuditQuery,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>>;

    /// The first `limit` records after the record `after`, oldest first. Zero begins at the beginning.
    async fn audit_after(
        &self,
        query: &AuditQuery,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>>;
}
