//! What is true about the connection, and what was begun: the document that the journal keeps.

use counterfoil_protocol::{
    UnixTime, encoding::equal_in_constant_time, jwk::Thumbprint, scope::ScopeSet, secret::Secret,
};
use serde::{Deserialize, Serialize};

use super::{
    event::{Approved, Connected},
    webhook::Webhook,
};
use crate::{
    config::Config,
    evidence::Place,
    site::Site,
    trouble::{Happened, Trouble},
};

/// Everything that survives a crash.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Facts {
    /// The installation's keys.
    pub(crate) keys: Keys,
    /// Which store and server the rest is about.
    pub(crate) binding: Option<Binding>,
    /// Where this state is at home.
    pub(crate) place: Option<Place>,
    /// The site that the connection is for, in its own words.
    pub(crate) site: Option<Site>,
    /// The address under which the server knows the connection's store, where the store was adopted at another one.
    pub(crate) moved_from: Option<String>,
    /// A registration was sent at some time, so the server may know our key even if it never told us.
    pub(crate) registration_sent: bool,
    /// What the server answered to the last registration.
    pub(crate) registration: Option<Registration>,
    /// The attempt to connect that waits for its callback.
    pub(crate) pending: Option<Attempt>,
    /// Intent: a code is being redeemed.
    pub(crate) exchange: Option<Exchange>,
    /// The connection.
    pub(crate) connection: Option<Connection>,
    /// Intent: a refresh token is being redeemed.
    pub(crate) refresh: Option<RefreshIntent>,
    /// Intent: the key is asking for a new token family.
    pub(crate) recovery: Option<RecoveryIntent>,
    /// Intent: the server is being asked to take the staged key.
    pub(crate) rotation: Option<RotationIntent>,
    /// The recoveries that there were.
    pub(crate) recoveries: Recoveries,
    /// Intent: the connection is being ended.
    pub(crate) disconnect: Option<Disconnect>,
    /// When a disconnect was completed.
    pub(crate) disconnected_at: Option<UnixTime>,
    /// How the last callback ended, for a page that is loaded again.
    pub(crate) receipt: Option<Receipt>,
    /// How many token families there have been; each has its number.
    pub(crate) families: u64,
    /// The platform's notifications.
    pub(crate) webhook: Webhook,
}

/// The installation's keys, by thumbprint. Where each one lives is nobody's business here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Keys {
    /// The key in force.
    pub(crate) current: Thumbprint,
    /// Since when it is; `None` where that was not written down.
    pub(crate) since: Option<UnixTime>,
    /// The next one, which waits until the server accepts it.
    pub(crate) staged: Option<StagedKey>,
    /// The one before, until the one in force has proved itself.
    pub(crate) former: Option<FormerKey>,
}

impl Keys {
    /// The one key of a new installation.
    pub(crate) fn of(current: Thumbprint) -> Self {
        Self { current, since: None, staged: None, former: None }
    }

    /// The key that the server most likely holds in force.
    pub(crate) fn in_force_perhaps(&self) -> Thumbprint {
        let told = self.staged.as_ref().filter(|staged| staged.told);
        told.map_or(self.current, |staged| staged.key)
    }
}

impl Default for Keys {
    /// Names no key at all.
    fn default() -> Self {
        Self::of(Thumbprint([0; 32]))
    }
}

/// A key that was made to be the next.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct StagedKey {
    /// The key.
    pub(crate) key: Thumbprint,
    /// When it was made.
    pub(crate) since: UnixTime,
    /// The server heard of it, and nobody knows for certain which key it holds in force.
    pub(crate) told: bool,
}

/// A key that was in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct FormerKey {
    /// The key.
    pub(crate) key: Thumbprint,
    /// When another took its place.
    pub(crate) replaced_at: UnixTime,
    /// The other has renewed tokens.
    pub(crate) surpassed: bool,
}

/// The store and the server that a state belongs to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Binding {
    /// The platform's name.
    pub(crate) platform: String,
    /// The store's URL.
    pub(crate) site_url: String,
    /// The server.
    pub(crate) issuer: String,
}

impl Binding {
    /// The binding that the store's file asks for.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            platform: config.platform_name.clone(),
            site_url: config.site_url.clone(),
            issuer: config.issuer.clone(),
        }
    }
}

/// An accepted registration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Registration {
    /// Our client id.
    pub(crate) client_id: String,
    /// What this store may ask for.
    pub(crate) scopes: ScopeSet,
}

/// One attempt to connect, from the authorization URL to its callback.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Attempt {
    /// `state`.
    pub(crate) state: Secret,
    /// The PKCE verifier.
    pub(crate) verifier: Secret,
    /// What binds the attempt to the person who began it.
    pub(crate) bind: Option<Secret>,
    /// Our client id.
    pub(crate) client_id: String,
    /// The key that the approval is asked for.
    pub(crate) key: Thumbprint,
    /// The exact callback.
    pub(crate) redirect_uri: String,
    /// What was asked for.
    pub(crate) scopes: ScopeSet,
    /// The site that asked.
    #[serde(default)]
    pub(crate) site: Option<Site>,
    /// When it began.
    pub(crate) since: UnixTime,
    /// Until when its callback is taken.
    pub(crate) expires_at: UnixTime,
}

impl Attempt {
    /// Whether `state` is this attempt's, compared in constant time.
    pub(crate) fn has_state(&self, state: &str) -> bool {
        equal_in_constant_time(self.state.expose().as_bytes(), state.as_bytes())
    }

    /// Whether `bind` is what the attempt was begun with.
    pub(crate) fn is_bound_to(&self, bind: Option<&str>) -> bool {
        match (&self.bind, bind) {
            (None, None) => true,
            (Some(own), Some(bind)) => {
                equal_in_constant_time(own.expose().as_bytes(), bind.as_bytes())
            }
            _ => false,
        }
    }
}

/// A code on its way to the token endpoint. A retry sends exactly this again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Exchange {
    /// SHA-256 of the callback's query, to know the same callback again.
    pub(crate) query_hash: String,
    /// The code.
    pub(crate) code: Secret,
    /// The PKCE verifier.
    pub(crate) verifier: Secret,
    /// The exact callback.
    pub(crate) redirect_uri: String,
    /// Our client id.
    pub(crate) client_id: String,
    /// The key that the code is bound to.
    pub(crate) key: Thumbprint,
    /// What was asked for.
    pub(crate) scopes: ScopeSet,
    /// The resource.
    pub(crate) audience: String,
    /// The site that asked.
    #[serde(default)]
    pub(crate) site: Option<Site>,
    /// The key by which the server knows a retry.
    pub(crate) idempotency_key: String,
    /// When it began.
    pub(crate) since: UnixTime,
}

/// A connection that a merchant approved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Connection {
    /// The number of its token family.
    pub(crate) family: u64,
    /// Our client id.
    pub(crate) client_id: String,
    /// Who gets paid.
    pub(crate) company: Company,
    /// The approval.
    pub(crate) grant_id: String,
    /// What was approved.
    pub(crate) scopes: ScopeSet,
    /// The resource of its tokens.
    pub(crate) audience: String,
    /// When the merchant connected.
    pub(crate) connected_at: UnixTime,
    /// The tokens.
    pub(crate) tokens: Tokens,
    /// Why the family can never be renewed again.
    pub(crate) lost: Option<Happened>,
}

impl Connection {
    /// Whether its tokens can be renewed.
    pub(crate) fn is_alive(&self) -> bool {
        self.lost.is_none()
    }

    /// What every change of its tokens must leave as it is.
    pub(crate) fn approved(&self) -> Approved {
        Approved {
            client_id: self.client_id.clone(),
            audience: self.audience.clone(),
            scopes: self.scopes.clone(),
            company_id: self.company.id.clone(),
            grant_id: self.grant_id.clone(),
            refresh: self.tokens.refresh.clone(),
        }
    }
}

/// Who gets paid.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Company {
    /// The server's name for it.
    pub(crate) id: String,
    /// The name that people know.
    pub(crate) name: Option<String>,
}

/// One generation of tokens. Times are of this machine's clock.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Tokens {
    /// The access token.
    pub(crate) access: Secret,
    /// The refresh token.
    pub(crate) refresh: Secret,
    /// When they came.
    pub(crate) issued_at: UnixTime,
    /// When the access token ends.
    pub(crate) expires_at: UnixTime,
    /// When to renew them.
    pub(crate) renews_at: UnixTime,
}

impl Tokens {
    /// Whether it is time to renew them. Tokens that came in the future are older than the clock says: it was set back.
    pub(crate) fn are_due(&self, now: UnixTime) -> bool {
        /// How far a clock is set back without any meaning for tokens, in seconds.
        const CORRECTION: i64 = 60;
        now >= self.renews_at || now < self.issued_at - CORRECTION
    }

    /// Whether the access token can be used for a call that begins now.
    pub(crate) fn are_valid(&self, now: UnixTime) -> bool {
        /// The most that is kept in hand for the call's own way, in seconds.
        const MARGIN: i64 = 10;
        let lifetime = self.expires_at.since(self.issued_at);
        now < self.expires_at - (lifetime / 10).clamp(0, MARGIN)
    }
}

/// A refresh token on its way to the token endpoint. A retry sends the same with the same key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct RefreshIntent {
    /// The family.
    pub(crate) family: u64,
    /// SHA-256 of the refresh token, in hexadecimal.
    pub(crate) token_hash: String,
    /// The key by which the server knows a retry.
    pub(crate) idempotency_key: String,
    /// When it began.
    pub(crate) since: UnixTime,
}

/// A lost token family for which the key is asking another. A retry sends the same key of the request again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct RecoveryIntent {
    /// The family that was lost.
    pub(crate) family: u64,
    /// The key that asks.
    pub(crate) key: Thumbprint,
    /// The key by which the server knows a retry.
    pub(crate) idempotency_key: String,
    /// How often it was sent. What was sent more than once may have been answered before.
    pub(crate) sends: u32,
    /// When the family was lost, and why.
    pub(crate) cause: Happened,
    /// Not to be sent before: somebody counts recoveries, the server or we.
    pub(crate) not_before: Option<UnixTime>,
}

/// The staged key on its way to the server. A retry sends exactly this again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct RotationIntent {
    /// The family whose refresh token is presented.
    pub(crate) family: u64,
    /// The staged key.
    pub(crate) next: Thumbprint,
    /// The key by which the server knows a retry.
    pub(crate) idempotency_key: String,
    /// How often it was sent. What was sent once may have been done.
    pub(crate) sends: u32,
    /// When it began.
    pub(crate) since: UnixTime,
}

/// How often the key had to bring a lost connection back.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Recoveries {
    /// How often since this installation exists.
    pub(crate) count: u64,
    /// The newest ones, oldest first: as many as are counted against the limit.
    pub(crate) times: Vec<UnixTime>,
}

/// A disconnect on its way. Its keys live as long as it does.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Disconnect {
    /// For ending the webhook subscription.
    pub(crate) webhook_key: String,
    /// For the reset of the installation.
    pub(crate) reset_key: String,
    /// When it began.
    pub(crate) since: UnixTime,
}

/// How a callback ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Receipt {
    /// SHA-256 of the callback's query.
    pub(crate) query_hash: String,
    /// What was answered.
    pub(crate) answer: Result<Connected, Trouble>,
}
