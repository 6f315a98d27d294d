//! What the server remembers. The only place that speaks SQL.
//!
//! An operation is one transaction, named for the domain, and says what happened. Rules are judged on what was read,
//! then one write that only one racer can win; whoever loses reads again. No caller reads, checks and writes.

mod accounts;
mod applications;
mod audit;
mod clients;
mod commerce;
mod connections;
#[cfg(test)]
mod contract;
mod credentials;
mod grants;
mod identities;
mod operators;
mod partner;
mod people;
mod requests;
mod sqlite;
mod webhooks;

pub use self::{
    accounts::{Accounts, Company, HandOver, Membership, Session, User},
    applications::{AddedApp, AppChange, Applications, Changed, Edit, Picture},
    audit::{Audit, AuditQuery, Deed},
    clients::{Clients, NewInstallation, RegisterOutcome, Registration, Reset, ResetReceipt},
    commerce::{Commerce, CompanyWrite, Imported, Listed, Page, WalletImport},
    connections::{
        Connection, ConnectionEnd, ConnectionEvent, ConnectionQuery, Connections, EndOutcome,
        StoreFacts,
    },
    credentials::{Credentials, FactorUse, PasswordChange, SessionEntry},
    grants::{
        AccessStanding, Grants, KeyRotation, NewFamily, Recovery, Redemption, Rotation, Written,
    },
    identities::{Attempt, Identities, Identity, Linked, Made, Noted, Unlinked, Ways},
    operators::{
        CompanyFacts, GrantEnd, GrantFacts, GrantQuery, LinkFacts, LinkQuery, Operators, Part,
        Renamed, UserFacts,
    },
    partner::{
        Holder, KeptReceipt, LinkChange, NewLink, Partner, PartnerWrite, SecretChange,
        SubscriptionChange,
    },
    people::{Invitation, Invited, Joined, Joiner, People, Person, RoleChange, RoleChanged},
    requests::{Approval, ApproveOutcome, Consent, NewCode, PushedRequest, Requests},
    sqlite::{Contents, FILE_NAME as DATABASE, Frozen, Sqlite, Standing},
    webhooks::{
        AddedEndpoint, Claim, DeliveryQuery, Due, EndpointQuery, EndpointSecret, Fate,
        ListedEndpoint, Manual, ManualSend, NewEndpoint, Notice, Of, PaymentMove, Queued, Rotated,
        Sent, Settled, Settlement, Webhooks,
    },
};

/// Why the store could not do what was asked. Never a matter of what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or failed; the text is for the log.
    #[error("the store failed: {0}")]
    Backend(String),
    /// A row does not mean anything: the database was changed by something else.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(&'static str),
    /// The schema is newer than this program.
    #[error(
        "the database was written by a newer version (schema {found}, this program knows up to {known}); run that version, or restore the backup made before the upgrade"
    )]
    Newer {
        /// The schema found.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
}

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Everything the server remembers.
pub trait Store:
    Accounts
    + Applications
    + Audit
    + Clients
    + Commerce
    + Connections
    + Credentials
    + Grants
    + Identities
    + Operators
    + Partner
    + People
    + Requests
    + Webhooks
{
}

impl<T> Store for T where
    T: Accounts
        + Applications
        + Audit
        + Clients
        + Commerce
        + Connections
        + Credentials
        + Grants
        + Identities
        + Operators
        + Partner
        + People
        + Requests
        + Webhooks
{
}
