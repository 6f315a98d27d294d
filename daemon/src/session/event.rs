//! What can happen to the connection, and what it then wants done.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint, scope::ScopeSet, secret::Secret};
use serde::{Deserialize, Serialize};

use super::{
    facts::{Attempt, Company, Disconnect, Exchange, Registration},
    webhook::{SubscribeOrder, Subscribed, Unsubscribed},
};
use crate::{site::Site, trouble::Trouble};

/// Something happened.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Somebody says that the store moved here.
    AdoptAsked,
    /// Time passed, or the daemon has just started.
    Tick,
    /// Somebody wants to connect.
    ConnectAsked(Ask),
    /// A registration ended.
    Registered {
        /// Which connect it was for.
        connect: u64,
        /// How it ended.
        outcome: Result<Registration, Trouble>,
    },
    /// The authorization request was pushed, or needed no pushing.
    Pushed {
        /// Which connect it was for.
        connect: u64,
        /// How it ended.
        outcome: Result<Authorization, Trouble>,
    },
    /// The browser came back.
    CallbackReceived {
        /// The raw query, without `?`.
        query: Secret,
        /// What binds the callback to a person.
        bind: Option<String>,
    },
    /// A code exchange ended.
    Redeemed {
        /// The key of the exchange.
        idempotency_key: String,
        /// How it ended.
        outcome: Result<Grant, Failure>,
    },
    /// Somebody needs a token, and not the one that the server just rejected.
    TokenDemanded {
        /// The rejected token.
        rejected: Option<Secret>,
    },
    /// A refresh ended.
    Refreshed {
        /// The family that was refreshed.
        family: u64,
        /// How it ended.
        outcome: Result<Grant, Failure>,
    },
    /// A recovery ended.
    Recovered {
        /// The key of the request.
        idempotency_key: String,
        /// How it ended.
        outcome: Result<Grant, Unrecovered>,
    },
    /// Somebody wants another key.
    RotationAsked,
    /// The next key was made, or not.
    KeyStaged {
        /// The key.
        outcome: Result<Thumbprint, Trouble>,
    },
    /// A rotation ended.
    Rotated {
        /// The key of the request.
        idempotency_key: String,
        /// How it ended.
        outcome: Result<Grant, Unrotated>,
    },
    /// The key before this one was removed, or not.
    KeyDestroyed {
        /// The key.
        key: Thumbprint,
        /// How it ended.
        outcome: Result<(), Trouble>,
    },
    /// Somebody wants to disconnect.
    DisconnectAsked {
        /// End it here alone, whatever the server knows.
        forget: bool,
    },
    /// Somebody says that the connection is for this site from now on.
    SiteAdopted(Site),
    /// A site uses the connection that no site is bound to yet.
    SiteSeen(Site),
    /// A reset ended.
    ResetFinished {
        /// The key of the reset.
        reset_key: String,
        /// How it ended.
        outcome: ResetOutcome,
    },
    /// A request for notifications ended.
    Subscribed {
        /// The key of the request.
        idempotency_key: String,
        /// How it ended.
        outcome: Result<Subscribed, Unsubscribed>,
    },
    /// The platform takes the store's subscription for inactive.
    WebhookInactive,
    /// Somebody wants another secret for notifications.
    WebhookRotationAsked,
}

impl Event {
    /// What its sender waits for, if the session does not answer at once.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        match self {
            Self::AdoptAsked | Self::SiteAdopted(_) | Self::SiteSeen(_) => Some(Waiting::Adopt),
            Self::ConnectAsked(_) => Some(Waiting::Connect),
            Self::CallbackReceived { .. } => Some(Waiting::Callback),
            Self::TokenDemanded { .. } => Some(Waiting::Token),
            Self::DisconnectAsked { .. } => Some(Waiting::Disconnect),
            Self::WebhookRotationAsked => Some(Waiting::Webhook),
            Self::RotationAsked => Some(Waiting::Rotation),
            _ => None,
        }
    }

    /// Who waits for what the server did, if this tells it. Such an event must never be lost.
    pub(crate) fn outcome_for(&self) -> Option<Waiting> {
        match self {
            Self::Registered { .. } | Self::Pushed { .. } => Some(Waiting::Connect),
            Self::Redeemed { .. } => Some(Waiting::Callback),
            Self::Refreshed { .. } | Self::Recovered { .. } => Some(Waiting::Token),
            Self::ResetFinished { .. } => Some(Waiting::Disconnect),
            Self::Subscribed { .. } => Some(Waiting::Webhook),
            Self::KeyStaged { .. } | Self::Rotated { .. } | Self::KeyDestroyed { .. } => {
                Some(Waiting::Rotation)
            }
            _ => None,
        }
    }
}

/// What a connect asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ask {
    /// What binds the attempt to a person.
    pub(crate) bind: Option<Secret>,
    /// Fewer scopes than the registration gives.
    pub(crate) scopes: Option<ScopeSet>,
    /// The site that asks.
    pub(crate) site: Option<Site>,
}

/// Where the merchant's browser shall go.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Authorization {
    /// The address.
    pub(crate) authorization_url: String,
    /// Until when it works.
    pub(crate) expires_at: UnixTime,
}

/// What a verified token answer gave.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the names are those of the wire")]
pub(crate) struct Grant {
    /// The access token.
    pub(crate) access: Secret,
    /// The refresh token.
    pub(crate) refresh: Secret,
    /// When the answer came, on this machine's clock.
    pub(crate) issued_at: UnixTime,
    /// When the access token ends, on this machine's clock.
    pub(crate) expires_at: UnixTime,
    /// Who gets paid.
    pub(crate) company: Company,
    /// The approval.
    pub(crate) grant_id: String,
}

/// Why a token call gave nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Failure {
    /// It may pass: send the same again later.
    Passing(Trouble),
    /// It will not pass: never send this credential again.
    Final(Trouble),
}

/// Why a recovery gave nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Unrecovered {
    /// There were too many; not before the trouble's `retry_after`.
    Capped(Trouble),
    /// It will not pass.
    Final(Trouble),
    /// The server has no recovery.
    NotOffered,
    /// It may pass: send the same again later.
    Passing(Trouble),
}

impl Failure {
    /// What went wrong, for good or not.
    pub(crate) fn trouble(&self) -> &Trouble {
        match self {
            Self::Passing(trouble) | Self::Final(trouble) => trouble,
        }
    }
}

/// Why a rotation gave nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Unrotated {
    /// The family has ended, or its answer is past keeping.
    Ended {
        /// Why.
        trouble: Trouble,
        /// The server did take the new key.
        accepted: bool,
    },
    /// The server changes no keys without the merchant.
    NotOffered,
    /// It may pass: send the same again later.
    Passing(Trouble),
    /// The server keeps the key that it has.
    Refused(Trouble),
}

/// How an attempt to end the connection at the server ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ResetOutcome {
    /// The server confirmed.
    Confirmed,
    /// The server offers no way to end it from here.
    Impossible,
    /// The access token is not accepted; a new one is needed first.
    NeedsToken,
    /// It may pass.
    Failed(Trouble),
}

/// Something to do, in this order, after the facts are saved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Answer whoever sent this event.
    Reply(Reply),
    /// Answer everybody who waits for this.
    Settle(Waiting, Reply),
    /// Discover the server and register.
    Register(RegisterOrder),
    /// Push the authorization request, or build its URL.
    Push(PushOrder),
    /// Redeem a code.
    Redeem(Exchange),
    /// Remove a key that is in force no more.
    DestroyKey(Thumbprint),
    /// Ask for a new token family by the key.
    Recover(RecoverOrder),
    /// Refresh the tokens.
    Refresh(RefreshOrder),
    /// End the connection at the server.
    Reset(ResetOrder),
    /// Ask for notifications.
    Subscribe(SubscribeOrder),
    /// Have the server take the staged key.
    Rotate(RotateOrder),
    /// Make the next key.
    StageKey,
}

impl Action {
    /// Whether it changes anything outside: at the server, or among the keys.
    pub(crate) fn is_step(&self) -> bool {
        !matches!(self, Self::Reply(_) | Self::Settle(..))
    }
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Waiting {
    /// The end of safe mode, or a site's binding; always answered at once.
    Adopt,
    /// An authorization URL.
    Connect,
    /// The end of a code exchange.
    Callback,
    /// A usable token.
    Token,
    /// The end of a disconnect.
    Disconnect,
    /// The platform's word on notifications.
    Webhook,
    /// The end of a change of the key.
    Rotation,
}

/// An answer to whoever asked.
pub(crate) type Reply = Result<Done, Trouble>;

/// What was achieved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Done {
    /// This place, and this address, are the store's.
    Adopted,
    /// There is an authorization URL.
    Authorization(Authorization),
    /// The store is connected.
    Connected(Connected),
    /// The connection is for the site that was named.
    SiteBound,
    /// There is a usable access token: this one.
    Token(Secret),
    /// The disconnect is done, or under way.
    Disconnect(Disconnecting),
    /// There is a new secret for notifications.
    Webhook,
    /// Another key is in force: this one.
    KeyRotated(Thumbprint),
    /// The next key is made: this one. The merchant must approve it.
    KeyStaged(Thumbprint),
}

/// A connection as a callback's answer tells it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the wire")]
pub(crate) struct Connected {
    /// Who gets paid.
    pub(crate) company: Company,
    /// What was approved.
    pub(crate) scopes: Vec<String>,
    /// When.
    pub(crate) connected_at: UnixTime,
}

/// How far a disconnect is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Disconnecting {
    /// What remains at the server, where it could not or should not be told.
    pub(crate) leftover: Option<Leftover>,
}

/// What the merchant finds at the server and can revoke there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Leftover {
    /// Our client id.
    pub(crate) client_id: String,
    /// Whose approval it is.
    pub(crate) company: Company,
    /// The approval.
    pub(crate) grant_id: String,
}

/// What a registration needs to know besides the store's file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RegisterOrder {
    /// Which connect it is for.
    pub(crate) connect: u64,
    /// The server may already know us, so the key in force is proved as the previous one too.
    pub(crate) known: bool,
    /// The key that is registered: the next one where there is one.
    pub(crate) key: Thumbprint,
    /// The key in force.
    pub(crate) current: Thumbprint,
}

/// What an authorization request says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PushOrder {
    /// Which connect it is for.
    pub(crate) connect: u64,
    /// The attempt.
    pub(crate) attempt: Attempt,
}

/// What was approved and stays as it is while its tokens change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Approved {
    /// Our client id.
    pub(crate) client_id: String,
    /// The resource.
    pub(crate) audience: String,
    /// The scopes.
    pub(crate) scopes: ScopeSet,
    /// The company.
    pub(crate) company_id: String,
    /// The approval.
    pub(crate) grant_id: String,
    /// The refresh token before the change.
    pub(crate) refresh: Secret,
}

/// What a refresh sends and expects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RefreshOrder {
    /// The family.
    pub(crate) family: u64,
    /// The key that it is bound to.
    pub(crate) key: Thumbprint,
    /// What was approved.
    pub(crate) approved: Approved,
    /// The key by which the server knows a retry.
    pub(crate) idempotency_key: String,
    /// When it began.
    pub(crate) since: UnixTime,
}

/// What a recovery sends and expects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RecoverOrder {
    /// The key that asks.
    pub(crate) key: Thumbprint,
    /// What was approved, and the refresh token of the lost family.
    pub(crate) approved: Approved,
    /// The key by which the server knows a retry.
    pub(crate) idempotency_key: String,
    /// When the family was lost.
    pub(crate) since: UnixTime,
}

/// What a rotation sends and expects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RotateOrder {
    /// The key in force.
    pub(crate) current: Thumbprint,
    /// The key that takes its place.
    pub(crate) next: Thumbprint,
    /// What was approved.
    pub(crate) approved: Approved,
    /// The key by which the server knows a retry.
    pub(crate) idempotency_key: String,
    /// When it began.
    pub(crate) since: UnixTime,
}

/// What a reset sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ResetOrder {
    /// The key that the tokens are bound to.
    pub(crate) key: Thumbprint,
    /// Our client id.
    pub(crate) client_id: String,
    /// The access token, expired or not: the server may have kept a receipt for it.
    pub(crate) access: Secret,
    /// The refresh token, for servers that can only revoke.
    pub(crate) refresh: Secret,
    /// The keys of this disconnect.
    pub(crate) disconnect: Disconnect,
}
