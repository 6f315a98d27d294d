//! One function per business event: a log line and a counter. No secret is an argument of any of them.
//!
//! Labels have few values, all of them ours; ids and thumbprints go into the log alone.

use counterfoil_protocol::jwk::Thumbprint;
use metrics::{counter, histogram};
use tracing::{debug, error, info, warn};

use crate::oauth::grant::EndReason;

const EVENTS: &str = "counterfoil_events_total";

/// A store registered, or said more of itself. `change` is what that did.
pub fn registered(client_id: &str, platform: &str, change: &'static str, key: &Thumbprint) {
    counter!(EVENTS, "event" => "registered").increment(1);
    info!(event = "registered", client_id, platform, change, %key);
}

/// A person approved a client for a company.
pub fn approved(client_id: &str, company_id: &str, user_id: &str) {
    counter!(EVENTS, "event" => "approved").increment(1);
    info!(event = "approved", client_id, company_id, user_id);
}

/// A person said no.
pub fn denied(client_id: &str, user_id: &str) {
    counter!(EVENTS, "event" => "denied").increment(1);
    info!(event = "denied", client_id, user_id);
}

/// A store's own address was asked whose it is.
pub fn ownership_checked(client_id: &str, site_url: &str, verdict: &'static str) {
    counter!(EVENTS, "event" => "ownership_checked").increment(1);
    info!(event = "ownership_checked", client_id, site_url, verdict);
}

/// A code became tokens.
pub fn code_redeemed(client_id: &str, grant_id: &str) {
    counter!(EVENTS, "event" => "code_redeemed").increment(1);
    info!(event = "code_redeemed", client_id, grant_id);
}

/// A refresh token was rotated.
pub fn refreshed(client_id: &str, grant_id: &str) {
    counter!(EVENTS, "event" => "refreshed").increment(1);
    debug!(event = "refreshed", client_id, grant_id);
}

/// An answer was given again to a retry.
pub fn answered_again(client_id: &str, what: &'static str) {
    counter!(EVENTS, "event" => "answered_again").increment(1);
    info!(event = "answered_again", client_id, what);
}

/// A token family ended.
pub fn family_ended(client_id: &str, grant_id: &str, reason: EndReason) {
    let reason = reason.as_str();
    counter!("counterfoil_families_ended_total", "reason" => reason).increment(1);
    warn!(event = "family_ended", client_id, grant_id, reason);
}

/// An installation got a new family for a proof of its key.
pub fn recovered(client_id: &str, grant_id: &str) {
    counter!(EVENTS, "event" => "recovered").increment(1);
    warn!(event = "recovered", client_id, grant_id);
}

/// An installation took a new key, without the merchant: the old one vouched for it.
pub fn key_rotated(client_id: &str, grant_id: &str, from: &Thumbprint, to: &Thumbprint) {
    counter!(EVENTS, "event" => "key_rotated").increment(1);
    warn!(event = "key_rotated", client_id, grant_id, %from, %to);
}

/// An installation was reset.
pub fn reset(client_id: &str) {
    counter!(EVENTS, "event" => "reset").increment(1);
    info!(event = "reset", client_id);
}

/// A token was revoked by its client.
pub fn revoked(client_id: &str, what: &'static str) {
    counter!(EVENTS, "event" => "revoked").increment(1);
    info!(event = "revoked", client_id, what);
}

/// A credential came with a proof by another key: somebody else has it, or a store lost its key.
pub fn wrong_key(client_id: &str, key: &Thumbprint) {
    counter!(EVENTS, "event" => "wrong_key").increment(1);
    warn!(event = "wrong_key", client_id, %key);
}

/// A person signed in.
pub fn signed_in(user_id: &str) {
    counter!(EVENTS, "event" => "signed_in").increment(1);
    info!(event = "signed_in", user_id);
}

/// A person signed in through an external provider.
pub fn signed_in_through(user_id: &str, provider: &str) {
    counter!(EVENTS, "event" => "signed_in_through").increment(1);
    info!(event = "signed_in_through", user_id, provider);
}

/// Somebody came back from an external provider in vain.
pub fn provider_refused(provider: &str, reason: &'static str) {
    counter!("counterfoil_provider_refused_total", "reason" => reason).increment(1);
    warn!(event = "provider_refused", provider, reason);
}

/// A person's account can be signed in to through an external provider.
pub fn provider_linked(user_id: &str, provider: &str) {
    counter!(EVENTS, "event" => "provider_linked").increment(1);
    info!(event = "provider_linked", user_id, provider);
}

/// It no longer can.
pub fn provider_unlinked(user_id: &str, provider: &str) {
    counter!(EVENTS, "event" => "provider_unlinked").increment(1);
    info!(event = "provider_unlinked", user_id, provider);
}

/// Somebody did not sign in. The address that was typed is not told: people type passwords there.
pub fn sign_in_failed(from: std::net::IpAddr) {
    counter!(EVENTS, "event" => "sign_in_failed").increment(1);
    info!(event = "sign_in_failed", %from);
}

/// A person asked for a link to a new password, or somebody else did.
pub fn password_reset_asked(user_id: &str) {
    counter!(EVENTS, "event" => "password_reset_asked").increment(1);
    info!(event = "password_reset_asked", user_id);
}

/// A person has another password.
pub fn password_changed(user_id: &str) {
    counter!(EVENTS, "event" => "password_changed").increment(1);
    info!(event = "password_changed", user_id);
}

/// A person signed browsers out.
pub fn sessions_ended(user_id: &str, sessions: usize) {
    counter!(EVENTS, "event" => "sessions_ended").increment(1);
    info!(event = "sessions_ended", user_id, sessions);
}

/// A person turned one-time codes on.
pub fn second_factor_on(user_id: &str) {
    counter!(EVENTS, "event" => "second_factor_on").increment(1);
    info!(event = "second_factor_on", user_id);
}

/// A person turned one-time codes off.
pub fn second_factor_off(user_id: &str) {
    counter!(EVENTS, "event" => "second_factor_off").increment(1);
    warn!(event = "second_factor_off", user_id);
}

/// Somebody who knows a person's password guesses codes.
pub fn second_factor_locked(user_id: &str) {
    counter!(EVENTS, "event" => "second_factor_locked").increment(1);
    warn!(event = "second_factor_locked", user_id);
}

/// Somebody was invited into a company.
pub fn invited(company_id: &str, role: &'static str) {
    counter!(EVENTS, "event" => "invited").increment(1);
    info!(event = "invited", company_id, role);
}

/// Somebody took an invitation up.
pub fn joined(user_id: &str, company_id: &str, role: &'static str) {
    counter!(EVENTS, "event" => "joined").increment(1);
    info!(event = "joined", user_id, company_id, role);
}

/// A person's place in a company was changed, or ended.
pub fn role_changed(user_id: &str, company_id: &str, role: &'static str) {
    counter!(EVENTS, "event" => "role_changed").increment(1);
    info!(event = "role_changed", user_id, company_id, role);
}

/// A letter was written to the outbox.
pub fn mail_written() {
    counter!(EVENTS, "event" => "mail_written").increment(1);
}

/// The mail server took a letter.
pub fn mail_sent() {
    counter!(EVENTS, "event" => "mail_sent").increment(1);
    info!(event = "mail_sent");
}

/// A letter will not be sent.
pub fn mail_given_up(reason: &'static str) {
    counter!("counterfoil_mail_given_up_total", "reason" => reason).increment(1);
    warn!(event = "mail_given_up", reason);
}

/// The audit trail does not have the end that it had, or its head cannot be kept.
pub fn audit_trail_doubtful(error: &dyn std::fmt::Display) {
    counter!(EVENTS, "event" => "audit_trail_doubtful").increment(1);
    error!(event = "audit_trail_doubtful", %error);
}

/// A rate limit was reached.
pub fn limited(limit: &'static str) {
    counter!("counterfoil_limited_total", "limit" => limit).increment(1);
}

/// An application was deleted, and so many connections of it ended.
pub fn application_deleted(client_id: &str, connections_ended: usize) {
    counter!(EVENTS, "event" => "application_deleted").increment(1);
    info!(event = "application_deleted", client_id, connections_ended);
}

/// A notification was taken.
pub fn webhook_delivered(endpoint_id: &str, delivery: &str) {
    counter!(EVENTS, "event" => "webhook_delivered").increment(1);
    debug!(event = "webhook_delivered", endpoint_id, delivery);
}

/// A notification is not tried again by itself.
pub fn webhook_given_up(endpoint_id: &str, delivery: &str, reason: &'static str) {
    counter!(EVENTS, "event" => "webhook_given_up").increment(1);
    warn!(event = "webhook_given_up", endpoint_id, delivery, reason);
}

/// An endpoint took nothing for too long.
pub fn webhook_endpoint_disabled(endpoint_id: &str) {
    counter!(EVENTS, "event" => "webhook_endpoint_disabled").increment(1);
    warn!(event = "webhook_endpoint_disabled", endpoint_id);
}

/// The payment engine reported something new.
pub fn payment_moved(uid: &str, status: &'static str) {
    counter!(EVENTS, "event" => "payment_moved").increment(1);
    info!(event = "payment_moved", uid, status);
}

/// A request was forwarded to the platform's own API, which answered. The query is not told.
pub fn forwarded(
    upstream: &str,
    (method, path): (&str, &str),
    (client_id, company_id): (&str, &str),
    status: u16,
    took: std::time::Duration,
) {
    let class = match status {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    let labels = [("upstream", upstream.to_owned()), ("outcome", class.to_owned())];
    counter!("counterfoil_upstream_requests_total", &labels).increment(1);
    histogram!("counterfoil_upstream_seconds", &labels[..1]).record(took.as_secs_f64());
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    info!(event = "forwarded", upstream, method, path, client_id, company_id, status, milliseconds);
}

/// A permitted request has no answer of the platform's own API. The edge logs why.
pub fn not_forwarded(upstream: &str, (client_id, company_id): (&str, &str), outcome: &'static str) {
    let labels = [("upstream", upstream.to_owned()), ("outcome", outcome.to_owned())];
    counter!("counterfoil_upstream_requests_total", &labels).increment(1);
    warn!(event = "not_forwarded", upstream, client_id, company_id, outcome);
}
