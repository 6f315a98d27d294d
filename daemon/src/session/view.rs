//! What the daemon tells about itself: derived from the facts whenever somebody asks, never remembered.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint};
use serde::{Serialize, Serializer};

use super::{
    Condition, Context, Renewal, Session,
    facts::{Company, Connection, Recoveries},
    safe_mode::SafeMode,
    webhook::WebhookView,
};
use crate::{
    keeping::{KeyFile, Unkept},
    key::Home,
    local::Stranger,
    reload::FileReport,
    site::Site,
    situation::Told,
    trouble::{Code, Happened, Trouble, Words},
};

/// The state of the connection in one word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// The store has never been registered.
    Unregistered,
    /// The merchant has the authorization URL.
    AwaitingApproval,
    /// The store has tokens, or can get them.
    Connected,
    /// The tokens are gone for good.
    ReconnectRequired,
    /// The server has not confirmed the disconnect.
    DisconnectPending,
    /// The store is registered and not connected.
    Disconnected,
    /// The state may be a copy, or belongs to another store or server.
    SafeMode,
    /// The state cannot be used.
    Degraded,
}

impl State {
    /// Every state there is.
    pub(crate) const ALL: &[Self] = &[
        Self::Unregistered,
        Self::AwaitingApproval,
        Self::Connected,
        Self::ReconnectRequired,
        Self::DisconnectPending,
        Self::Disconnected,
        Self::SafeMode,
        Self::Degraded,
    ];

    /// The state as status spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Connected => "connected",
            Self::ReconnectRequired => "reconnect_required",
            Self::DisconnectPending => "disconnect_pending",
            Self::Disconnected => "disconnected",
            Self::SafeMode => "safe_mode",
            Self::Degraded => "degraded",
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The whole answer of `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Status {
    /// One word.
    pub(crate) state: State,
    /// Whether it works, and if not, who has to act.
    pub(crate) condition: Condition,
    /// One sentence.
    pub(crate) summary: String,
    /// What to do, in one sentence.
    pub(crate) next_step: String,
    /// The platform's name.
    pub(crate) platform: String,
    /// The store's URL.
    pub(crate) site_url: String,
    /// The exact callback.
    pub(crate) redirect_uri: String,
    /// The server.
    pub(crate) issuer: String,
    /// Where forwarded calls go.
    pub(crate) api_base: String,
    /// Our client id.
    pub(crate) client_id: Option<String>,
    /// Our key.
    pub(crate) thumbprint: Option<Thumbprint>,
    /// Where it lives, and since when it is in force.
    pub(crate) key: Option<KeyView>,
    /// The next key, which waits until the server accepts it.
    pub(crate) next_key: Option<NextKey>,
    /// Who gets paid.
    pub(crate) company: Option<Company>,
    /// What was approved.
    pub(crate) scopes: Option<Vec<String>>,
    /// The approval.
    pub(crate) grant_id: Option<String>,
    /// When the merchant connected.
    pub(crate) connected_at: Option<UnixTime>,
    /// The access token's times.
    pub(crate) token: Option<TokenTimes>,
    /// An attempt to connect.
    pub(crate) pending: Option<PendingTimes>,
    /// How often the key had to bring the connection back.
    pub(crate) recoveries: RecoveryCount,
    /// The site that the connection is for.
    pub(crate) site: Option<Site>,
    /// Other sites that called, the newest first.
    pub(crate) strangers: Vec<Stranger>,
    /// Why nothing is done, and the ways on.
    pub(crate) safe_mode: Option<SafeMode>,
    /// How the last renewals since the start ended, the newest first.
    pub(crate) renewals: Vec<Renewal>,
    /// When the daemon tries again what failed.
    pub(crate) next_try_at: Option<UnixTime>,
    /// What is known of the server.
    pub(crate) server: ServerHealth,
    /// The platform's notifications.
    pub(crate) webhook: WebhookView,
    /// What went wrong last and has not been mended since.
    pub(crate) last_error: Option<LastError>,
    /// The store's file, and whether all that stands in it is gone by.
    pub(crate) config: FileReport,
    /// The daemon's version.
    pub(crate) version: &'static str,
    /// What is wrong with the key's file; the words say it.
    #[serde(skip)]
    pub(crate) unkept: Option<Unkept>,
}

/// An access token's times.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are those of the wire")]
pub(crate) struct TokenTimes {
    /// When it came.
    pub(crate) issued_at: UnixTime,
    /// When it ends.
    pub(crate) expires_at: UnixTime,
    /// When the daemon means to renew it.
    pub(crate) renews_at: UnixTime,
}

/// Recoveries since this installation exists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct RecoveryCount {
    count: u64,
    last_at: Option<UnixTime>,
}

impl RecoveryCount {
    fn of(recoveries: &Recoveries) -> Self {
        Self { count: recoveries.count, last_at: recoveries.times.last().copied() }
    }
}

/// The key in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct KeyView {
    /// Where it lives.
    #[serde(flatten)]
    pub(crate) home: Home,
    /// Its name.
    pub(crate) thumbprint: Thumbprint,
    /// Since when it is in force, where that was written down.
    pub(crate) since: Option<UnixTime>,
    /// How its file was found when somebody asked; `None` where it has none.
    pub(crate) file: Option<KeyFile>,
}

/// A key that waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct NextKey {
    /// The key.
    pub(crate) thumbprint: Thumbprint,
    /// When it was made.
    pub(crate) since: UnixTime,
    /// The server is being asked to take it; else the merchant must approve it.
    pub(crate) asking: bool,
}

/// An attempt's times.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct PendingTimes {
    since: UnixTime,
    expires_at: UnixTime,
}

/// What the last exchanges with the server showed. Nothing is known before the first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct ServerHealth {
    /// Whether it answered.
    pub(crate) reachable: Option<bool>,
    /// When that was.
    pub(crate) checked_at: Option<UnixTime>,
    /// Since when it has not answered, where it does not.
    pub(crate) unreachable_since: Option<UnixTime>,
    /// Seconds that its clock is ahead of ours, where it made us learn that.
    pub(crate) clock_offset: Option<i64>,
    /// Why it did not answer. Status tells it as the last trouble.
    #[serde(skip)]
    pub(crate) silence: Option<Code>,
}

/// A trouble as status tells it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct LastError {
    code: &'static str,
    message: String,
    at: UnixTime,
    next_step: &'static str,
}

impl LastError {
    /// A trouble, and what to do about it.
    pub(super) fn of(happened: &Happened, next_step: &'static str) -> Self {
        let code = happened.trouble.code.words().code;
        Self { code, message: happened.trouble.message.clone(), at: happened.at, next_step }
    }
}

impl Session {
    /// The state, from the facts alone.
    pub(crate) fn state(&self, cx: &Context<'_>) -> State {
        let facts = &self.facts;
        let awaiting = facts.exchange.is_some() || self.pending(cx).is_some();
        if self.is_in_safe_mode(cx.config) {
            return State::SafeMode;
        }
        match &facts.connection {
            Some(_) if facts.disconnect.is_some() => State::DisconnectPending,
            Some(connection) if connection.is_alive() => State::Connected,
            _ if awaiting => State::AwaitingApproval,
            Some(_) => State::ReconnectRequired,
            None if facts.registration.is_some() => State::Disconnected,
            None => State::Unregistered,
        }
    }

    /// Everything that status tells.
    pub(crate) fn status(&self, server: ServerHealth, home: Home, cx: &Context<'_>) -> Status {
        let facts = &self.facts;
        let state = self.state(cx);
        let (summary, next_step) = self.words_with(state, &server, cx);
        let last = self.last_trouble(&server);
        let connection = facts.connection.as_ref();
        let client_id = connection
            .map(|connection| &connection.client_id)
            .or(facts.registration.as_ref().map(|registration| &registration.client_id));
        Status {
            condition: self.condition(state, &server, cx),
            summary,
            next_step,
            client_id: client_id.cloned(),
            thumbprint: Some(facts.keys.current),
            key: Some(KeyView {
                home,
                thumbprint: facts.keys.current,
                since: facts.keys.since,
                file: home.sealed.is_some().then_some(KeyFile::InOrder),
            }),
            next_key: self.next_key(),
            company: connection.map(|connection| connection.company.clone()),
            scopes: connection.map(|it| it.scopes.iter().map(str::to_owned).collect()),
            grant_id: connection.map(|connection| connection.grant_id.clone()),
            connected_at: connection.map(|connection| connection.connected_at),
            token: connection.filter(|connection| connection.is_alive()).map(token_times),
            pending: self.pending(cx),
            recoveries: RecoveryCount::of(&facts.recoveries),
            site: facts.site.clone(),
            safe_mode: self.safe_mode(cx),
            renewals: self.renewals(),
            next_try_at: self.next_try_at(),
            server,
            webhook: self.webhook(cx),
            last_error: last
                .as_ref()
                .map(|last| LastError::of(last, self.next_step_of_last(last, &server))),
            ..Status::bare(state, cx.config)
        }
    }

    /// The key that waits.
    pub(crate) fn next_key(&self) -> Option<NextKey> {
        let staged = self.facts.keys.staged.as_ref()?;
        let asking = self.facts.rotation.is_some();
        Some(NextKey { thumbprint: staged.key, since: staged.since, asking })
    }

    fn pending(&self, cx: &Context<'_>) -> Option<PendingTimes> {
        let exchange = self.facts.exchange.as_ref().map(|exchange| PendingTimes {
            since: exchange.since,
            expires_at: exchange.since + super::ATTEMPT_LIFETIME,
        });
        let attempt = self.facts.pending.as_ref().filter(|attempt| cx.now < attempt.expires_at);
        exchange.or(attempt.map(|it| PendingTimes { since: it.since, expires_at: it.expires_at }))
    }

    /// The state in a sentence, and what to do about it, by what the session alone knows.
    pub(crate) fn words(&self, state: State, cx: &Context<'_>) -> (String, String) {
        self.words_with(state, &ServerHealth::default(), cx)
    }

    /// The same, with what the last exchanges showed.
    pub(crate) fn words_with(
        &self,
        state: State,
        server: &ServerHealth,
        cx: &Context<'_>,
    ) -> (String, String) {
        let company = self.facts.connection.as_ref().map_or("", |connection| {
            connection.company.name.as_deref().unwrap_or(&connection.company.id)
        });
        let said = |summary: &str, next_step: &str| (summary.to_owned(), next_step.to_owned());
        let by_code = |code: Code| said(code.words().message, code.words().next_step);
        match state {
            State::Unregistered => {
                self.words_when_unconnected("This store has not been connected yet.", server)
            }
            State::Disconnected => {
                self.words_when_unconnected("This store is not connected.", server)
            }
            State::AwaitingApproval => self.words_when_awaiting(company),
            State::Connected => self.words_when_connected(company, server, cx),
            State::ReconnectRequired => self.words_when_lost(company),
            State::DisconnectPending if self.running.reset_hopeless => (
                format!("The connection to {company} is being ended, but the payment platform no longer takes this store's tokens."),
                "Press Connect once more and then Disconnect, or end it on this side alone: counterfoild disconnect --forget".to_owned(),
            ),
            State::DisconnectPending => (
                format!("The connection to {company} is being ended; the payment platform has not confirmed it yet."),
                Code::DisconnectPending.words().next_step.to_owned(),
            ),
            State::SafeMode => self.words_in_safe_mode(cx),
            State::Degraded => by_code(Code::Degraded),
        }
    }

    fn words_when_connected(
        &self,
        company: &str,
        server: &ServerHealth,
        cx: &Context<'_>,
    ) -> (String, String) {
        let valid = self.valid_tokens(cx).is_some();
        match &self.last_trouble(server) {
            Some(happened) if !valid => (
                format!(
                    "Connected to {company}, but no calls are possible at the moment: {}",
                    happened.trouble.message
                ),
                self.next_step(happened).to_owned(),
            ),
            Some(happened) if server.silence().is_some() => (
                format!(
                    "Connected to {company}, but what was asked last got no answer: {}",
                    happened.trouble.message
                ),
                self.next_step_of_last(happened, server).to_owned(),
            ),
            Some(happened) if self.endangers(happened) => (
                format!("Connected to {company} and working, but: {}", happened.trouble.message),
                self.next_step(happened).to_owned(),
            ),
            other => self.words_when_working(company, other.as_ref(), cx),
        }
    }
}

impl Session {
    /// What went wrong last; after a restart, what the facts still know of it.
    pub(super) fn last_error(&self) -> Option<Happened> {
        let recovering = |at| Happened { trouble: Trouble::of(Code::Recovering), at };
        let facts = &self.facts;
        let lost = facts.connection.as_ref().and_then(|connection| connection.lost.clone());
        let recovery = facts.recovery.as_ref().map(|intent| recovering(intent.cause.at));
        self.running.last_error.clone().or(lost).or(recovery)
    }

    /// Whether a trouble will end a connection that still works.
    pub(super) fn endangers(&self, happened: &Happened) -> bool {
        let renewing = self.facts.refresh.is_some()
            || self.facts.recovery.is_some()
            || self.rotation_is_open();
        renewing || happened.trouble.code == Code::StorageFailed
    }
}

impl Status {
    /// What can be said without any facts.
    pub(crate) fn bare(state: State, config: &crate::config::Config) -> Self {
        let Words { message, next_step, .. } = Code::Degraded.words();
        Self {
            state,
            condition: Condition::NeedsPerson,
            summary: message.to_owned(),
            next_step: next_step.to_owned(),
            platform: config.platform_name.clone(),
            site_url: config.site_url.clone(),
            redirect_uri: config.redirect_uri.clone(),
            issuer: config.issuer.clone(),
            api_base: config.api_base.clone(),
            client_id: None,
            thumbprint: None,
            key: None,
            next_key: None,
            company: None,
            scopes: None,
            grant_id: None,
            connected_at: None,
            token: None,
            pending: None,
            recoveries: RecoveryCount::default(),
            site: None,
            strangers: Vec::new(),
            safe_mode: None,
            renewals: Vec::new(),
            next_try_at: None,
            server: ServerHealth::default(),
            webhook: WebhookView::default(),
            last_error: None,
            config: FileReport::default(),
            version: crate::VERSION,
            unkept: None,
        }
    }

    /// The same with what was found of the key's file. The words for it depend on who reads them.
    pub(crate) fn with_key(self, unkept: Option<Unkept>) -> Self {
        let Some(unkept) = unkept else { return self };
        let key = self.key.map(|key| KeyView { file: Some(unkept.file), ..key });
        let condition = match self.condition {
            Condition::Working => Condition::Impaired,
            other => other,
        };
        Self { key, condition, unkept: Some(unkept), ..self }
    }

    /// The words for the owner.
    pub(crate) fn told(&self) -> Told {
        let told = self.plainly();
        match &self.unkept {
            Some(unkept) => unkept.told_to_owner(&told, self.next_key),
            None => told,
        }
    }

    /// The same for its owner.
    pub(crate) fn for_owner(self) -> Self {
        let Told { state, summary, next_step } = self.told();
        Self { state, summary, next_step, ..self }
    }

    /// The same for plugins: what names files of this machine is in the owner's status alone.
    pub(crate) fn for_guests(self) -> Self {
        let told = self.plainly().for_guests();
        let Told { state, summary, next_step } = match &self.unkept {
            Some(unkept) => unkept.told_to_guest(&told),
            None => told,
        };
        let config = self.config.for_guests();
        let safe_mode = self.safe_mode.map(SafeMode::for_guests);
        Self { state, summary, next_step, safe_mode, config, ..self }
    }

    fn plainly(&self) -> Told {
        let (summary, next_step) = (self.summary.clone(), self.next_step.clone());
        Told { state: self.state, summary, next_step }
    }
}

fn token_times(connection: &Connection) -> TokenTimes {
    let tokens = &connection.tokens;
    TokenTimes {
        issued_at: tokens.issued_at,
        expires_at: tokens.expires_at,
        renews_at: tokens.renews_at,
    }
}
