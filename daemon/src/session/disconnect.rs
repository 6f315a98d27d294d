//! Ending a connection: told to the server first, forgotten here when it has confirmed.

use super::{
    Action, Context, Disconnect, Disconnecting, Done, Leftover, ResetOrder, ResetOutcome, Running,
    Session, Waiting, Webhook, backoff::Backoff,
};
use crate::trouble::{Code, Trouble};

impl Session {
    pub(super) fn disconnect_asked(&mut self, forget: bool, cx: &Context<'_>) -> Vec<Action> {
        if !forget && self.facts.exchange.is_some() {
            // The approval is on its way: what it brings must not be left behind at the server.
            return vec![Action::Reply(Err(Trouble::of(Code::CallbackPending)))];
        }
        // Whoever disconnects gives up what is half begun as well.
        self.facts.pending = None;
        self.facts.exchange = None;
        self.facts.receipt = None;
        // What the server has not heard of is not begun any more.
        self.facts.rotation.take_if(|intent| intent.sends == 0);
        let mut actions = Vec::new();
        for waiting in [Waiting::Connect, Waiting::Callback, Waiting::Rotation] {
            actions.push(Action::Settle(waiting, Err(Trouble::of(Code::NotConnected))));
        }
        self.running.connecting = None;
        if forget || self.facts.connection.is_none() {
            let leftover = self.leftover();
            actions.push(Action::Settle(Waiting::Token, Err(Trouble::of(Code::NotConnected))));
            self.end(cx);
            actions.push(settled(leftover));
            return actions;
        }
        if self.is_withdrawn() {
            // The platform has said so: what was to be ended there has ended, and no token would be taken for it.
            actions.push(Action::Settle(Waiting::Token, Err(Trouble::of(Code::NotConnected))));
            actions.extend(self.disconnected(cx));
            return actions;
        }
        self.facts.disconnect.get_or_insert_with(|| Disconnect {
            webhook_key: key("webhook-disconnect", cx),
            reset_key: key("native-reset", cx),
            since: cx.now,
        });
        self.running.reset_backoff = Backoff::default();
        self.running.reset_hopeless = false;
        self.running.reset_renewed = false;
        let work = self.due_work(cx);
        let under_way = self.is_asking();
        if !under_way {
            actions.push(Action::Reply(Ok(Done::Disconnect(Disconnecting::default()))));
        }
        actions.extend(work);
        actions
    }

    pub(super) fn reset_if_due(&mut self, cx: &Context<'_>) -> Vec<Action> {
        let (Some(disconnect), Some(connection)) =
            (self.facts.disconnect.clone(), &self.facts.connection)
        else {
            return Vec::new();
        };
        // A merchant who is approving anew must not be reset in the middle of it.
        let approving = self.facts.exchange.is_some()
            || self.facts.pending.as_ref().is_some_and(|attempt| cx.now < attempt.expires_at);
        let free = !self.is_asking() && !approving;
        let possible = !self.running.reset_needs_token && !self.running.reset_hopeless;
        if !free || !possible || !self.running.reset_backoff.is_over(cx.now) {
            return Vec::new();
        }
        self.running.resetting = true;
        vec![Action::Reset(ResetOrder {
            key: self.facts.keys.current,
            client_id: connection.client_id.clone(),
            access: connection.tokens.access.clone(),
            refresh: connection.tokens.refresh.clone(),
            disconnect,
        })]
    }

    pub(super) fn reset_finished(
        &mut self,
        reset_key: &str,
        outcome: ResetOutcome,
        cx: &Context<'_>,
    ) -> Vec<Action> {
        // Forgotten, or connected anew, while the server was asked.
        if self.facts.disconnect.as_ref().is_none_or(|it| it.reset_key != reset_key) {
            return Vec::new();
        }
        self.running.resetting = false;
        match outcome {
            ResetOutcome::Confirmed => self.disconnected(cx),
            ResetOutcome::Impossible => {
                let leftover = self.leftover();
                self.end(cx);
                vec![settled(leftover)]
            }
            // Refused with the token that was fetched for it: once more at once would be a storm.
            ResetOutcome::NeedsToken if self.running.reset_renewed => {
                self.reset_failed(&Trouble::of(Code::DisconnectPending), cx)
            }
            ResetOutcome::NeedsToken => {
                self.running.reset_needs_token = true;
                self.running.reset_renewed = true;
                let mut actions = self.due_work(cx);
                let alive = self.facts.connection.as_ref().is_some_and(super::Connection::is_alive);
                if !alive && !self.is_asking() {
                    actions.extend(self.reset_without_token(cx));
                }
                actions
            }
            ResetOutcome::Failed(trouble) => self.reset_failed(&trouble, cx),
        }
    }

    /// Whether the connection was lost because the platform says that its approval has ended.
    fn is_withdrawn(&self) -> bool {
        let lost = self.facts.connection.as_ref().and_then(|connection| connection.lost.as_ref());
        lost.is_some_and(|lost| lost.trouble.code == Code::ApprovalWithdrawn)
    }

    /// Nothing stands at the server any more.
    pub(super) fn disconnected(&mut self, cx: &Context<'_>) -> Vec<Action> {
        self.end(cx);
        vec![settled(None)]
    }

    /// The reset waited for a token that will never come.
    pub(super) fn reset_without_token(&mut self, cx: &Context<'_>) -> Vec<Action> {
        if !std::mem::take(&mut self.running.reset_needs_token) {
            return Vec::new();
        }
        self.running.reset_hopeless = true;
        let trouble = Trouble::new(
            Code::ReconnectRequired,
            "The payment platform no longer takes this store's tokens, so it cannot be told to end the connection.",
        );
        self.reset_failed(&trouble, cx)
    }

    fn reset_failed(&mut self, trouble: &Trouble, cx: &Context<'_>) -> Vec<Action> {
        self.running.reset_renewed = false;
        self.running.reset_backoff.fail(trouble.retry_after, cx);
        self.note(trouble, cx);
        vec![settled(None)]
    }

    /// Forgets the connection. Key, registration and registration id stay.
    fn end(&mut self, cx: &Context<'_>) {
        if self.facts.connection.take().is_some() {
            self.facts.disconnected_at = Some(cx.now);
        }
        self.facts.disconnect = None;
        self.facts.refresh = None;
        self.facts.recovery = None;
        self.doubt_key(self.rotation_is_open());
        self.facts.rotation = None;
        self.facts.moved_from = None;
        self.facts.webhook = Webhook::default();
        self.facts.site = None;
        self.running = Running::default();
    }

    /// What stands at the server and would be forgotten here.
    pub(crate) fn leftover(&self) -> Option<Leftover> {
        self.facts.connection.as_ref().map(|connection| Leftover {
            client_id: connection.client_id.clone(),
            company: connection.company.clone(),
            grant_id: connection.grant_id.clone(),
        })
    }
}

fn settled(leftover: Option<Leftover>) -> Action {
    Action::Settle(Waiting::Disconnect, Ok(Done::Disconnect(Disconnecting { leftover })))
}

fn key(purpose: &str, cx: &Context<'_>) -> String {
    format!("{}-{purpose}-{}", cx.config.platform_name, cx.entropy.hex::<20>())
}
