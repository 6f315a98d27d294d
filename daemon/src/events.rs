//! One function per business event: a log line, a record in the history, a counter.
//!
//! None of them fails, blocks or takes a secret. Names of events are stable; what has many values (ids, thumbprints,
//! times) goes into log and history, never into a metric.

use std::sync::OnceLock;

use counterfoil_protocol::{UnixTime, jwk::Thumbprint};
use serde_json::{Map, Value, json};
use tracing::{debug, error, info, warn};

use crate::{
    history::{Called, History, Kind},
    metrics,
    trouble::Code,
};

/// Where records go, once there is a state directory to keep them in.
static HISTORY: OnceLock<History> = OnceLock::new();

/// From now on, events are kept in `history`. Only the first history of a process is taken.
pub(crate) fn keep_in(history: History) {
    let _ = HISTORY.set(history);
}

/// The history, if there is one.
pub(crate) fn history() -> Option<&'static History> {
    HISTORY.get()
}

/// Writes down what is left of the history. Nothing is kept after that.
pub(crate) async fn close() {
    if let Some(history) = history() {
        history.stop().await;
    }
}

/// The daemon started and answers callers.
pub(crate) fn started(socket: &std::path::Path) {
    let (version, socket) = (crate::VERSION, socket.display().to_string());
    info!(event = "started", version, socket, "ready");
    happened(Kind::Started, None, json!({ "version": version }));
}

/// The daemon was told to stop, and does.
pub(crate) fn stopped() {
    info!(event = "stopped", "stopped");
    happened(Kind::Stopped, None, json!({}));
}

/// The state cannot be used; `why` says what is wrong.
pub(crate) fn degraded(why: &str) {
    error!(
        event = "degraded",
        why, "the state cannot be used; nothing is changed and no new key is made"
    );
    happened(Kind::Degraded, None, json!({ "why": why }));
}

/// The server accepted the registration.
pub(crate) fn registered(client_id: &str) {
    info!(event = "registered", client_id, "the store is registered");
    happened(Kind::Registered, None, json!({ "client_id": client_id }));
}

/// An attempt to connect began.
pub(crate) fn connect_begun() {
    info!(event = "connect_begun", "the merchant is asked to approve");
    happened(Kind::ConnectBegun, None, json!({}));
}

/// The merchant approved; the code is about to be exchanged.
pub(crate) fn connect_approved() {
    info!(event = "connect_approved", "the merchant approved");
    happened(Kind::ConnectApproved, None, json!({}));
}

/// An attempt to connect ended without a connection: denied, expired, refused.
pub(crate) fn connect_failed(code: Code) {
    let code = code.words().code;
    warn!(event = "connect_failed", code, "the attempt to connect ended");
    happened(Kind::ConnectFailed, Some(code), json!({}));
}

/// The store is connected.
pub(crate) fn connected(company: &str, grant_id: &str) {
    info!(event = "connected", company, grant = grant_id, "connected");
    happened(Kind::Connected, None, json!({ "company": company, "grant": grant_id }));
}

/// The tokens were renewed.
pub(crate) fn renewed(expires_at: UnixTime) {
    info!(event = "renewed", expires_at = expires_at.0, "the tokens are renewed");
    happened(Kind::Renewed, None, json!({ "expires_at": expires_at.0 }));
}

/// A renewal failed and will be tried again.
pub(crate) fn renewal_failed(code: Code) {
    let code = code.words().code;
    warn!(event = "renewal_failed", code, "the renewal failed; it will be tried again");
    happened(Kind::RenewalFailed, Some(code), json!({}));
}

/// The tokens are lost for good. `code` says why.
pub(crate) fn connection_lost(code: Code) {
    let code = code.words().code;
    error!(event = "connection_lost", code, "the tokens are lost for good");
    happened(Kind::ConnectionLost, Some(code), json!({}));
}

/// The connection was recovered by the key.
pub(crate) fn recovered(grant_id: &str) {
    warn!(event = "recovered", grant = grant_id, "the connection is recovered by the key");
    happened(Kind::Recovered, None, json!({ "grant": grant_id }));
}

/// The tokens are lost, and the key asks for others. `code` says why they are.
pub(crate) fn recovery_begun(code: Code) {
    let code = code.words().code;
    warn!(event = "recovery_begun", code, "the tokens are lost; the key asks for others");
    happened(Kind::RecoveryBegun, Some(code), json!({}));
}

/// A recovery failed and will be tried again.
pub(crate) fn recovery_failed(code: Code) {
    let code = code.words().code;
    warn!(event = "recovery_failed", code, "the recovery failed; it will be tried again");
    happened(Kind::RecoveryFailed, Some(code), json!({}));
}

/// The server did not recover the connection.
pub(crate) fn recovery_refused(code: Code) {
    let code = code.words().code;
    error!(event = "recovery_refused", code, "the server does not recover the connection");
    happened(Kind::RecoveryRefused, Some(code), json!({}));
}

/// A next key was made, and waits until the server has accepted it.
pub(crate) fn key_staged(key: &Thumbprint) {
    info!(event = "key_staged", %key, "the next key is made");
    happened(Kind::KeyStaged, None, json!({ "key": key.to_string() }));
}

/// The server accepted the next key; the old one is kept until this one has proved itself.
pub(crate) fn key_rotated(from: &Thumbprint, to: &Thumbprint) {
    warn!(event = "key_rotated", %from, %to, "another key is in force");
    happened(Kind::KeyRotated, None, json!({ "from": from.to_string(), "to": to.to_string() }));
}

/// The server did not take the next key, or not yet; the one in force stays.
pub(crate) fn key_rotation_failed(code: Code) {
    let code = code.words().code;
    warn!(event = "key_rotation_failed", code, "the key is not changed");
    happened(Kind::KeyRotationFailed, Some(code), json!({}));
}

/// The connection was ended. `confirmed`: the server said so too.
pub(crate) fn disconnected(confirmed: bool) {
    info!(event = "disconnected", confirmed, "disconnected");
    happened(Kind::Disconnected, None, json!({ "confirmed": confirmed }));
}

/// The server has not confirmed a disconnect; it will be asked again.
pub(crate) fn disconnect_unconfirmed(code: Option<Code>) {
    let code = code.map(|code| code.words().code);
    warn!(event = "disconnect_unconfirmed", code, "the server has not confirmed the disconnect");
    happened(Kind::DisconnectUnconfirmed, code, json!({}));
}

/// The store's file was read again and is in use. `changed` and `needs_restart` are names of settings; `rebuilt`: the
/// inside was built anew for it.
pub(crate) fn reloaded(changed: &[&str], needs_restart: &[&str], rebuilt: bool) {
    info!(event = "reloaded", ?changed, ?needs_restart, rebuilt, "the store's file is read again");
    let fields = json!({ "changed": changed, "needs_restart": needs_restart, "rebuilt": rebuilt });
    happened(Kind::Reloaded, None, fields);
}

/// The changed store's file cannot be used; the former settings stay. `kind` names a setting or a kind of error:
/// what the file itself says is for the log alone.
pub(crate) fn reload_failed(error: &dyn std::fmt::Display, kind: &'static str) {
    error!(event = "reload_failed", %error, "the changed store's file is not used");
    happened(Kind::ReloadFailed, None, json!({ "why": kind }));
}

/// The level of the log was changed.
pub(crate) fn log_level_changed(report: crate::log::Report) {
    let (level, until) = (report.level, report.until.map(|until| until.0));
    warn!(event = "log_level_changed", ?level, until, "the level of the log is changed");
}

/// The daemon went into safe mode.
pub(crate) fn safe_mode(why: &'static str) {
    error!(event = "safe_mode", why, "safe mode: nothing is sent to the server");
    happened(Kind::SafeMode, None, json!({ "why": why }));
}

/// The state is not where it was, and nothing says that it is a copy.
pub(crate) fn moved(from: &str, to: &str) {
    info!(
        event = "moved",
        from, to, "the state was moved, or restored; it is bound to where it is"
    );
    happened(Kind::Moved, None, json!({ "from": from, "to": to }));
}

/// The state is where it was, in another file: a backup of it was put back, or its file system is another.
pub(crate) fn restored(to: &str) {
    info!(
        event = "restored",
        to, "the state was put back in its place; it is bound to where it is"
    );
    happened(Kind::Restored, None, json!({ "to": to }));
}

/// The owner said that this place is the store now.
pub(crate) fn adopted() {
    warn!(event = "adopted", "this place took the connection over");
    happened(Kind::Adopted, None, json!({}));
}

/// The owner said that this place is a store of its own.
pub(crate) fn separated() {
    warn!(event = "separated", "this place begins an installation of its own");
    happened(Kind::Separated, None, json!({}));
}

/// The disk does not take the state.
pub(crate) fn storage_failed(why: &dyn std::fmt::Display) {
    error!(event = "storage_failed", error = %why, "the state cannot be saved");
    happened(Kind::StorageFailed, None, json!({}));
}

/// The disk takes the state again.
pub(crate) fn storage_mended() {
    info!(event = "storage_mended", "the state can be saved again");
    happened(Kind::StorageMended, None, json!({}));
}

/// The platform sends notifications, signed with a new secret.
pub(crate) fn webhook_given(subscription: Option<&str>) {
    info!(event = "webhook_given", subscription, "notifications come, signed with a new secret");
    happened(Kind::WebhookGiven, None, json!({ "subscription": subscription }));
}

/// A request for notifications failed and will be sent again.
pub(crate) fn webhook_failed(code: Code) {
    let code = code.words().code;
    warn!(event = "webhook_failed", code, "no notifications yet; they will be asked for again");
    happened(Kind::WebhookFailed, Some(code), json!({}));
}

/// The platform refused to send notifications.
pub(crate) fn webhook_refused(code: Code) {
    let code = code.words().code;
    error!(event = "webhook_refused", code, "the platform refused to send notifications");
    happened(Kind::WebhookRefused, Some(code), json!({}));
}

/// The server stopped answering.
pub(crate) fn server_unreachable() {
    warn!(event = "server_unreachable", "the server does not answer");
    happened(Kind::ServerUnreachable, None, json!({}));
}

/// The server answers again, after `seconds`.
pub(crate) fn server_reachable(seconds: i64) {
    info!(event = "server_reachable", seconds, "the server answers again");
    happened(Kind::ServerReachable, None, json!({ "seconds": seconds }));
}

/// The server's clock is `offset` seconds ahead of ours, and proofs are signed by it from now on.
pub(crate) fn clock_learned(offset: i64) {
    warn!(
        event = "clock_learned",
        offset_s = offset,
        "the server's clock differs; signing by its time"
    );
    happened(Kind::ClockLearned, None, json!({ "offset_s": offset }));
}

/// A call was admitted and answered.
pub(crate) fn called(called: Called<'_>) {
    let Called { uid, client, method, path, outcome } = called;
    debug!(event = "called", uid, client, method, path, outcome, "request");
    metrics::METRICS.called(method, path, outcome);
    if let Some(history) = history() {
        history.count(called);
    }
}

/// A caller was told of a problem.
pub(crate) fn told(code: Code) {
    metrics::METRICS.refused(code);
}

/// The gate turned a caller away.
pub(crate) fn refused(uid: Option<u32>, code: Code) {
    let code = code.words().code;
    warn!(event = "refused", uid, code, "refused at the gate");
    metrics::METRICS.happened(Kind::Refused);
    if let Some(history) = history() {
        history.count(Called { uid, client: "", method: "", path: "", outcome: code });
    }
}

fn happened(kind: Kind, code: Option<&'static str>, detail: Value) {
    metrics::METRICS.happened(kind);
    let detail = match detail {
        Value::Object(detail) => detail,
        _ => Map::new(),
    };
    if let Some(history) = history() {
        history.keep(kind, code, detail);
    }
}
