//! What status tells about notifications. Never the secret.

use counterfoil_protocol::UnixTime;
use serde::Serialize;

use crate::{
    session::{Connection, Context, Session, view::LastError, words::next_step_of},
    trouble::Happened,
};

/// How it is with notifications, in one word.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WebhookState {
    /// The store's file names no address for them.
    #[default]
    Off,
    /// They are asked for when the store is connected.
    Waiting,
    /// The platform has not agreed yet.
    Pending,
    /// They come.
    Active,
    /// The platform refused.
    Refused,
}

/// Notifications as status tells of them.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct WebhookView {
    /// One word.
    pub(crate) state: WebhookState,
    /// Where they shall go, by the store's file.
    pub(crate) url: Option<String>,
    /// The platform's name for the subscription.
    pub(crate) subscription_id: Option<String>,
    /// When the secret came that signs them now.
    pub(crate) since: Option<UnixTime>,
    /// Why they do not come, or why the newest request has no answer yet.
    pub(crate) last_error: Option<LastError>,
}

impl Session {
    /// How it is with notifications.
    pub(crate) fn webhook(&self, cx: &Context<'_>) -> WebhookView {
        let Some(url) = &cx.config.webhook_url else { return WebhookView::default() };
        let webhook = &self.facts.webhook;
        let connection = self.facts.connection.as_ref();
        let alive = connection.is_some_and(Connection::is_alive);
        let grant = connection.map(|connection| &connection.grant_id);
        let standing = webhook.subscription.as_ref().filter(|it| Some(&it.grant_id) == grant);
        let refused = webhook.refused.as_ref();
        let state = match (grant, &webhook.intent, standing) {
            _ if !alive => WebhookState::Waiting,
            (_, None, _) if refused.is_some() => WebhookState::Refused,
            (_, None, Some(_)) => WebhookState::Active,
            _ => WebhookState::Pending,
        };
        WebhookView {
            state,
            url: Some(url.clone()),
            subscription_id: standing.and_then(|it| it.id.clone()),
            since: standing.map(|it| it.since),
            last_error: self
                .webhook_trouble(cx)
                .map(|last| LastError::of(last, self.webhook_next_step(last))),
        }
    }

    /// What to do about such a trouble: what is still to be asked for is asked for again.
    pub(in crate::session) fn webhook_next_step(&self, happened: &Happened) -> &'static str {
        next_step_of(happened.trouble.code, self.facts.webhook.intent.is_some())
    }

    /// Why notifications do not come, or why the newest request has no answer yet.
    pub(in crate::session) fn webhook_trouble(&self, cx: &Context<'_>) -> Option<&Happened> {
        cx.config.webhook_url.as_ref()?;
        let refused = self.facts.webhook.refused.as_ref().map(|it| &it.happened);
        refused.or(self.running.webhook.last_error.as_ref())
    }
}
