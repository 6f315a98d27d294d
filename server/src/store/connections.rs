//! Connections as a company sees them: which there are and were, when they were used, what happened to them.

use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, scope::ScopeSet};

use super::Result;
use crate::oauth::{connection::Facts, ownership::Checked};

/// A client that has or had a grant of a company, with the newest such grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// The client.
    pub client_id: String,
    /// Its name, as consent showed it.
    pub name: String,
    /// The store, if the client is a native installation.
    pub store: Option<StoreFacts>,
    /// Whose application it is, if it is one: the company's name.
    pub publisher: Option<String>,
    /// The grant.
    pub grant_id: String,
    /// What the grant allows.
    pub scope: ScopeSet,
    /// When it was approved.
    pub approved_at: UnixTime,
    /// The e-mail address of who approved; none when the application acts for its own company.
    pub approved_by: Option<String>,
    /// How it stands.
    pub facts: Facts,
    /// Why it ended, in one word.
    pub ended_reason: Option<String>,
    /// When it was last used, as far as that is written.
    pub last_access: Option<UnixTime>,
}

/// What a store said of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreFacts {
    /// The platform.
    pub platform: String,
    /// Where it is.
    pub site_url: String,
    /// The plugin's version.
    pub plugin_version: String,
    /// The platform's version.
    pub platform_version: Option<String>,
}

/// Which connections of a company. What is not said is not asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionQuery<'a> {
    /// Part of the name or of the store's address, in any case.
    pub search: &'a str,
    /// Those that stand, or those that ended.
    pub ended: Option<bool>,
    /// How many to pass over.
    pub skip: u32,
    /// How many to answer.
    pub limit: u32,
}

/// Something that happened to a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectionEvent {
    /// The record's place in the trail.
    pub id: i64,
    /// When.
    pub at: UnixTime,
    /// What, in one word.
    pub event: String,
    /// Who, as the trail writes it: `user:…`, `client:…`, `operator:…`, `system`.
    pub actor: String,
    /// The e-mail address of the person who did it.
    pub email: Option<String>,
    /// What else is to say.
    pub detail: String,
}

/// A connection to be ended by a person.
#[derive(Clone, Debug)]
pub struct ConnectionEnd {
    /// The company.
    pub company_id: String,
    /// The client.
    pub client_id: String,
    /// The grant that the person was shown.
    pub grant_id: String,
    /// The person.
    pub user_id: String,
    /// The time now.
    pub now: UnixTime,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndOutcome {
    /// It is over.
    Ended,
    /// It was over, or another took its place.
    NotStanding,
    /// The person may not, any more.
    NotAllowed,
}

/// Operations on a company's connections.
#[async_trait]
pub trait Connections: Send + Sync {
    /// The connections of a company: those that stand first, then the newest first.
    async fn connections(
        &self,
        company_id: &str,
        now: UnixTime,
        query: ConnectionQuery<'_>,
    ) -> Result<Vec<Connection>>;

    /// One of them.
    async fn connection(
        &self,
        company_id: &str,
        client_id: &str,
        now: UnixTime,
    ) -> Result<Option<Connection>>;

    /// The newest `limit` events of a connection before the record `before`, newest first. Of what happened to the client
    /// and to no company in particular, those between the company's first approval and its last end.
    async fn connection_events(
        &self,
        company_id: &str,
        client_id: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ConnectionEvent>>;

    /// Ends a connection with all its tokens, and disables its webhook subscription.
    async fn end_connection(&self, end: ConnectionEnd) -> Result<EndOutcome>;

    /// Notes when grants were last used. A grant that is gone is passed over, and no time goes backwards.
    async fn note_access(&self, uses: Vec<(String, UnixTime)>) -> Result<()>;

    /// Keeps what came of asking a store's own address; of an installation that is gone, nothing.
    async fn note_ownership(&self, checked: Checked) -> Result<()>;

    /// What came of the last time.
    async fn ownership(&self, client_id: &str) -> Result<Option<Checked>>;

    /// When a grant was last used, as far as that was noted.
    async fn last_access(&self, grant_id: &str) -> Result<Option<UnixTime>>;
}
