//! What people read of a connection that works, that is lost while an approval is awaited, or that may be a copy.

use super::{Context, ServerHealth, Session};
use crate::trouble::{Code, Happened};

/// The next step where there is none.
pub(crate) const NOTHING_TO_DO: &str = "Nothing to do.";

/// What to do about a passing trouble while the daemon itself tries again what failed, in the place of the code's own
/// next step, which tells a person to try again.
const MEANWHILE: [(Code, &str); 9] = [
    (
        Code::KeyUnavailable,
        "Plug it in, or start the service that serves it; the daemon tries again by itself. Its log says what the device answers.",
    ),
    (
        Code::ProofRefused,
        "Set the machine's clock (timedatectl status shows it); the daemon tries again by itself.",
    ),
    (
        Code::ProxyRefused,
        "Check proxy and proxy_credentials_file in the store's file; the daemon tries again by itself.",
    ),
    (
        Code::ServerAnswerTimeout,
        "Wait; the daemon tries again by itself. If it lasts, tell the platform's support since when.",
    ),
    (
        Code::ServerConnectionRefused,
        "Wait; the daemon tries again by itself. If it lasts, look for a firewall, and check issuer and proxy in the store's file.",
    ),
    (
        Code::ServerConnectTimeout,
        "Check the machine's network (ip route) and any firewall between it and the platform; the daemon tries again by itself.",
    ),
    (
        Code::ServerNameUnresolved,
        "Run getent ahosts with the host of issuer; the name servers are in /etc/resolv.conf. The daemon tries again by itself.",
    ),
    (
        Code::ServerUnreachable,
        "Wait; the daemon tries again by itself. If it lasts, check the machine's network and name resolution.",
    ),
    (
        Code::TokenExpired,
        "Set the machine's clock (timedatectl status shows it); the daemon tries again by itself.",
    ),
];

/// What to do about a trouble; it depends on whether the daemon tries again by itself what failed.
pub(super) fn next_step_of(code: Code, tries_again: bool) -> &'static str {
    let meanwhile = MEANWHILE.iter().filter(|_| tries_again).find(|(known, _)| *known == code);
    meanwhile.map_or(code.words().next_step, |(_, next_step)| next_step)
}

impl Session {
    /// What to do about the last trouble.
    pub(super) fn next_step(&self, happened: &Happened) -> &'static str {
        next_step_of(happened.trouble.code, self.tries_again())
    }

    /// Whether something is under way that the daemon does not leave alone until it is done. A connect that failed is
    /// not, nor is a call of a plugin.
    fn tries_again(&self) -> bool {
        let facts = &self.facts;
        self.next_try_at().is_some()
            || facts.refresh.is_some()
            || facts.recovery.is_some()
            || facts.exchange.is_some()
            || facts.disconnect.is_some()
            || self.rotation_is_open()
    }

    /// Connected, and nothing stops that: what a person should look at all the same.
    pub(super) fn words_when_working(
        &self,
        company: &str,
        trouble: Option<&Happened>,
        cx: &Context<'_>,
    ) -> (String, String) {
        let told = |how: &str, happened: &Happened, next_step: &str| {
            let summary = format!("Connected to {company}{how}: {}", happened.trouble.message);
            (summary, next_step.to_owned())
        };
        let former = self.facts.moved_from.as_ref();
        match (former, trouble, self.webhook_trouble(cx)) {
            (Some(former), ..) => (
                format!("Connected to {company}; the payment platform still knows this store as {former}."),
                "Press Connect in the plugin's settings, so that the merchant approves the new address.".to_owned(),
            ),
            (None, Some(happened), _) => {
                told("; what was tried last did not succeed", happened, self.next_step(happened))
            }
            (None, None, Some(happened)) => {
                let next_step = self.webhook_next_step(happened);
                told(", but its notifications are not in order", happened, next_step)
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
