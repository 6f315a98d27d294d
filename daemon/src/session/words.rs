//! What people read of a connection that works, that is lost while an approval is awaited, or that may be a copy.

use super::{Connection, Context, ServerHealth, Session};
use crate::trouble::{Code, Happened};

/// The next step where there is none.
pub(crate) const NOTHING_TO_DO: &str = "Nothing to do.";

/// The next step of a store without a connection.
const CONNECT: &str = "Press Connect in the plugin's settings, or run: counterfoild connect";

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

/// What to do about a call without an answer while the connection stands and the daemon asks nothing by itself.
const AT_THE_NEXT_CALL: [(Code, &str); 6] = [
    (
        Code::ProxyRefused,
        "Check proxy and proxy_credentials_file in the store's file; the next call or renewal asks again.",
    ),
    (
        Code::ServerAnswerTimeout,
        "The next call or renewal asks again. If it lasts, tell the platform's support since when.",
    ),
    (
        Code::ServerConnectionRefused,
        "The next call or renewal asks again. If it lasts, look for a firewall, and check issuer and proxy in the store's file.",
    ),
    (
        Code::ServerConnectTimeout,
        "Check the machine's network (ip route) and any firewall between it and the platform; the next call or renewal asks again.",
    ),
    (
        Code::ServerNameUnresolved,
        "Run getent ahosts with the host of issuer; the name servers are in /etc/resolv.conf. The next call or renewal asks again.",
    ),
    (
        Code::ServerUnreachable,
        "The next call or renewal asks again. If it lasts, check the machine's network and name resolution.",
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

    /// The same where the last exchanges are known: a call without an answer is not asked again before the next one.
    pub(super) fn next_step_of_last(
        &self,
        happened: &Happened,
        server: &ServerHealth,
    ) -> &'static str {
        let alive = self.facts.connection.as_ref().is_some_and(Connection::is_alive);
        let left = alive && server.silence().is_some() && !self.tries_again();
        let known = AT_THE_NEXT_CALL.iter().filter(|_| left);
        let told = known.into_iter().find(|(known, _)| *known == happened.trouble.code);
        told.map_or_else(|| self.next_step(happened), |(_, next_step)| next_step)
    }

    /// There is no connection. Where the last attempt failed by something that the next one would meet as well, that
    /// is what to look at first.
    pub(super) fn words_when_unconnected(
        &self,
        how: &str,
        server: &ServerHealth,
    ) -> (String, String) {
        let first = |happened: &Happened| {
            let code = happened.trouble.code;
            Code::SILENCES.contains(&code)
                || matches!(
                    code,
                    Code::AuthorizationRefused
                        | Code::RegistrationIdentityMismatch
                        | Code::RegistrationRefused
                        | Code::ServerUnacceptable
                )
        };
        match self.last_trouble(server).filter(first) {
            Some(happened) => (
                format!("{how} What was tried last did not succeed: {}", happened.trouble.message),
                self.next_step(&happened).to_owned(),
            ),
            None => (how.to_owned(), CONNECT.to_owned()),
        }
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

    /// The connection is lost for good, and why.
    pub(super) fn words_when_lost(&self, company: &str) -> (String, String) {
        let lost = self.facts.connection.as_ref().and_then(|it| it.lost.as_ref());
        let why = lost.map(|lost| &lost.trouble).filter(|it| it.code != Code::ReconnectRequired);
        let ended = format!("The connection to {company} has ended and cannot be renewed");
        match why {
            Some(why) => {
                (format!("{ended}: {}", why.message), why.code.words().next_step.to_owned())
            }
            None => (format!("{ended}."), Code::ReconnectRequired.words().next_step.to_owned()),
        }
    }

    /// Whether a trouble was only that the server did not answer, and it has answered since.
    pub(super) fn is_over(&self, happened: &Happened, server: &ServerHealth) -> bool {
        let answered = server.reachable == Some(true)
            && server.checked_at.is_some_and(|checked_at| checked_at > happened.at);
        answered && Code::SILENCES.contains(&happened.trouble.code) && !self.endangers(happened)
    }
}
