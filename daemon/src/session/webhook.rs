//! The platform's notifications to the store: where they go is told at each connect, and what signs them is kept.
//!
//! None of it ever holds a connection up. A request is an intent on the disk first and is sent again, with the same
//! key, until there is an answer; the secret before is dropped only when its successor is on the disk.

mod delivery;
mod facts;
mod view;

use counterfoil_protocol::{UnixTime, jwk::Thumbprint, secret::Secret};

pub(crate) use self::{
    delivery::{Delivery, Genuine},
    facts::{RefusedWebhook, RetiredSecret, Subscription, Webhook, WebhookIntent},
    view::WebhookView,
};
use super::{Action, Context, Done, Failure, Session, Waiting, backoff::Backoff};
use crate::trouble::{Code, Happened, Trouble};

/// How long the secret before stays good for deliveries that were under way when it changed, in seconds.
const GRACE: i64 = 24 * 3_600;

/// How long after the platform's word that a subscription is inactive another such word means nothing, in seconds.
const MENDING: i64 = 60;

/// What is under way about notifications. A crash forgets it.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking {
    /// The platform is being asked.
    under_way: bool,
    backoff: Backoff,
    last_error: Option<Happened>,
    /// When the platform last said that the subscription is inactive, and was asked anew.
    mended_at: Option<UnixTime>,
}

impl Asking {
    /// Nothing is under way any more.
    fn end(&mut self) {
        *self = Self { mended_at: self.mended_at, ..Self::default() };
    }
}

/// What a subscription sends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SubscribeOrder {
    /// Where notifications shall go.
    pub(crate) url: String,
    /// The access token.
    pub(crate) access: Secret,
    /// The key that it is bound to.
    pub(crate) key: Thumbprint,
    /// The key by which the server knows a retry.
    pub(crate) idempotency_key: String,
}

/// What the platform gave.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Subscribed {
    /// The subscription, where the platform has such.
    pub(crate) id: Option<String>,
    /// What notifications will be signed with.
    pub(crate) secret: Secret,
    /// Which notifications will come.
    pub(crate) events: Vec<String>,
}

/// Why a subscription gave nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Unsubscribed {
    /// It may pass, or only a person can mend it.
    Failed(Failure),
    /// The key was answered too long ago, or is known for another request.
    KeySpent,
    /// The access token is not accepted.
    NeedsToken(Secret),
}

impl Session {
    /// A connect was completed. Its notifications are asked for anew, with a new secret.
    pub(super) fn webhook_connected(&mut self, cx: &Context<'_>) {
        let Some(connection) = &self.facts.connection else { return };
        let webhook = &mut self.facts.webhook;
        let same =
            webhook.subscription.as_ref().is_some_and(|it| it.grant_id == connection.grant_id);
        if !same {
            *webhook = Webhook::default();
        }
        webhook.refused = None;
        webhook.intent =
            cx.config.webhook_url.as_ref().map(|url| intent(url, &connection.grant_id, cx));
    }

    /// Somebody wants another secret, or another try.
    pub(super) fn webhook_rotation_asked(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let refuse = |code| vec![Action::Reply(Err(Trouble::of(code)))];
        let Some(url) = &cx.config.webhook_url else { return refuse(Code::WebhookNotConfigured) };
        let Some(connection) = &self.facts.connection else { return refuse(Code::NotConnected) };
        if self.facts.disconnect.is_some() {
            return refuse(Code::DisconnectPending);
        }
        if !connection.is_alive() {
            return refuse(Code::ReconnectRequired);
        }
        let webhook = &mut self.facts.webhook;
        webhook.refused = None;
        webhook.intent.get_or_insert_with(|| intent(url, &connection.grant_id, cx));
        self.running.webhook.backoff = Backoff::default();
        self.due_work(cx)
    }

    /// The platform refuses what a plugin wants because the subscription is inactive.
    pub(super) fn webhook_inactive(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let webhook = &mut self.facts.webhook;
        let asking = &mut self.running.webhook;
        let lately = asking.mended_at.is_some_and(|at| (0..MENDING).contains(&cx.now.since(at)));
        if webhook.intent.is_none()
            && !lately
            && let Some(subscription) = &webhook.subscription
        {
            webhook.intent = Some(intent(&subscription.url, &subscription.grant_id, cx));
            asking.mended_at = Some(cx.now);
        }
        self.due_work(cx)
    }

    /// Asks for the notifications that should come and do not yet, unless that is under way or must wait.
    pub(super) fn subscribe_if_due(&mut self, cx: &Context<'_>) -> Vec<Action> {
        self.want_webhook(cx);
        let Some(intent) = &self.facts.webhook.intent else { return Vec::new() };
        if self.running.webhook.under_way || !self.running.webhook.backoff.is_over(cx.now) {
            return Vec::new();
        }
        // Whoever renews the tokens comes by here again.
        let Some(tokens) = self.valid_tokens(cx) else { return Vec::new() };
        let order = SubscribeOrder {
            url: intent.url.clone(),
            access: tokens.access.clone(),
            key: self.facts.keys.current,
            idempotency_key: intent.idempotency_key.clone(),
        };
        self.running.webhook.under_way = true;
        vec![Action::Subscribe(order)]
    }

    pub(super) fn subscribed(
        &mut self,
        idempotency_key: &str,
        outcome: Result<Subscribed, Unsubscribed>,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        let begun = self.facts.webhook.intent.clone();
        // Connected anew, or disconnected, while the platform was asked.
        let Some(begun) = begun.filter(|it| it.idempotency_key == idempotency_key) else {
            return self.due_work(cx);
        };
        self.running.webhook.under_way = false;
        let reply = match outcome {
            Ok(given) => {
                self.facts.webhook.take_over(begun, given, cx.now);
                self.running.webhook.end();
                Ok(Done::Webhook)
            }
            Err(Unsubscribed::Failed(Failure::Final(trouble))) => {
                let at = Happened { trouble: trouble.clone(), at: cx.now };
                let WebhookIntent { url, grant_id, .. } = begun;
                self.facts.webhook.refused = Some(RefusedWebhook { url, grant_id, happened: at });
                self.facts.webhook.intent = None;
                self.running.webhook.end();
                Err(trouble)
            }
            Err(Unsubscribed::Failed(Failure::Passing(trouble))) => {
                self.running.webhook.backoff.fail(trouble.retry_after, cx);
                let happened = Happened { trouble: trouble.clone(), at: cx.now };
                self.running.webhook.last_error = Some(happened);
                Err(trouble.retry_after(self.running.webhook.backoff.remaining(cx.now)))
            }
            Err(Unsubscribed::KeySpent) => {
                let key = idempotency_key_of(cx);
                self.facts.webhook.intent = Some(WebhookIntent { idempotency_key: key, ..begun });
                self.running.webhook.backoff.fail(None, cx);
                return Vec::new();
            }
            Err(Unsubscribed::NeedsToken(rejected)) => {
                self.running.webhook.backoff.fail(None, cx);
                let mut actions = self.token_demanded(Some(&rejected), cx);
                actions.retain(Action::is_step);
                return actions;
            }
        };
        let mut actions = vec![Action::Settle(Waiting::Webhook, reply)];
        actions.extend(self.due_work(cx));
        actions
    }

    /// When the platform is to be asked; `None` while nothing is wanted, or something else comes first.
    pub(super) fn webhook_due(&self) -> Option<UnixTime> {
        let facts = &self.facts;
        let alive = facts.connection.as_ref().is_some_and(super::Connection::is_alive);
        let free = alive && facts.disconnect.is_none() && facts.refresh.is_none();
        let intent = facts.webhook.intent.as_ref().filter(|_| free);
        let asking = &self.running.webhook;
        intent.filter(|_| !asking.under_way).map(|it| asking.backoff.due(it.since))
    }

    /// Holds the intent against the store's file: another address is another subscription, none is none.
    fn want_webhook(&mut self, cx: &Context<'_>) {
        let webhook = &mut self.facts.webhook;
        webhook.previous = webhook.previous.take().filter(|it| cx.now < it.until);
        let (Some(url), Some(connection)) = (&cx.config.webhook_url, &self.facts.connection) else {
            webhook.intent = None;
            return;
        };
        if self.facts.disconnect.is_some() || !connection.is_alive() {
            return;
        }
        let is_wanted = |there: &str, grant: &str| there == url && grant == connection.grant_id;
        webhook.intent = webhook.intent.take().filter(|it| is_wanted(&it.url, &it.grant_id));
        let stands =
            webhook.subscription.as_ref().is_some_and(|it| is_wanted(&it.url, &it.grant_id));
        let refused = webhook.refused.as_ref().is_some_and(|it| is_wanted(&it.url, &it.grant_id));
        if !stands && !refused {
            webhook.intent.get_or_insert_with(|| intent(url, &connection.grant_id, cx));
        }
    }
}

impl Webhook {
    /// Puts what the platform gave in the place of what it gave before.
    fn take_over(&mut self, begun: WebhookIntent, given: Subscribed, now: UnixTime) {
        let Subscribed { id, secret, events } = given;
        let before = self.subscription.take().filter(|before| before.secret != secret);
        if let Some(before) = before {
            self.previous = Some(RetiredSecret { secret: before.secret, until: now + GRACE });
        }
        let WebhookIntent { url, grant_id, .. } = begun;
        self.subscription = Some(Subscription { id, secret, url, events, grant_id, since: now });
        self.intent = None;
        self.refused = None;
    }
}

fn intent(url: &str, grant_id: &str, cx: &Context<'_>) -> WebhookIntent {
    WebhookIntent {
        url: url.to_owned(),
        grant_id: grant_id.to_owned(),
        idempotency_key: idempotency_key_of(cx),
        since: cx.now,
    }
}

fn idempotency_key_of(cx: &Context<'_>) -> String {
    format!("{}-webhook-{}", cx.config.platform_name, cx.entropy.hex::<20>())
}
