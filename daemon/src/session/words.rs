//! What people read of a connection that works, that is lost while an approval is awaited, or that may be a copy.

use super::{Context, ServerHealth, Session};
use crate::trouble::{Code, Happened};

/// The next step where there is none.
pub(crate) const NOTHING_TO_DO: &str = "Nothing to do.";

impl Session {
    /// Connected, and nothing stops that: what a person should look at all the same.
    pub(super) fn words_when_working(
        &self,
        company: &str,
        trouble: Option<&Happened>,
        cx: &Context<'_>,
    ) -> (String, String) {
        let told = |how: &str, happened: &Happened| {
            let next_step = happened.trouble.code.words().next_step.to_owned();
            (format!("Connected to {company}{how}: {}", happened.trouble.message), next_step)
        };
        let former = self.facts.moved_from.as_ref();
        match (former, trouble, self.webhook_trouble(cx)) {
            (Some(former), ..) => (
                format!("Connected to {company}; the payment platform still knows this store as {former}."),
                "Press Connect in the plugin's settings, so that the merchant approves the new address.".to_owned(),
            ),
            (None, Some(happened), _) => told("; what was tried last did not succeed", happened),
            (None, None, Some(happened)) => {
                told(", but its notifications are not in order", happened)
            }
            (None, None, None) => (format!("Connected to {company}."), NOTHING_TO_DO.to_owned()),
        }
    }

    /// The request to connect is on its way; a connection that is lost meanwhile is not kept back.
    pub(super) fn words_when_awaiting(&self, company: &str) -> (String, String) {
        let (awaited, next_step) = if self.facts.exchange.is_some() {
            let words = Code::CallbackPending.words();
            (words.message, words.next_step)
        } else {
            (
                "The request to connect waits for the merchant's approval.",
                "Finish the approval in the browser; if its tab is gone, press Connect again.",
            )
        };
        let summary = match &self.facts.connection {
            Some(_) => format!("{} {awaited}", self.words_when_lost(company).0),
            None => awaited.to_owned(),
        };
        (summary, next_step.to_owned())
    }

    /// Whether a trouble was only that the server did not answer, and it has answered since.
    pub(super) fn is_over(&self, happened: &Happened, server: &ServerHealth) -> bool {
        let answered = server.reachable == Some(true)
            && server.checked_at.is_some_and(|checked_at| checked_at > happened.at);
        answered && Code::SILENCES.contains(&happened.trouble.code) && !self.endangers(happened)
    }
}
