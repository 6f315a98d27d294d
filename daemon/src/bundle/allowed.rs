//! The lists. A path is names with dots between; `*` is every entry of a list.

use serde_json::{Map, Value};

/// Of what the daemon tells its owner. Not among it: the client id, the approval, addresses with a query.
pub(super) const STATUS: &[&str] = &[
    "state",
    "condition",
    "summary",
    "next_step",
    "platform",
    "site_url",
    "issuer",
    "api_base",
    "thumbprint",
    "key.store",
    "key.sealed",
    "key.since",
    "key.file",
    "company.id",
    "scopes.*",
    "connected_at",
    "token.issued_at",
    "token.expires_at",
    "token.renews_at",
    "pending.since",
    "pending.expires_at",
    "renewals.*.at",
    "renewals.*.code",
    "next_try_at",
    "recoveries.count",
    "recoveries.last_at",
    "safe_mode.evidence.*.code",
    "safe_mode.evidence.*.message",
    "server.reachable",
    "server.checked_at",
    "server.unreachable_since",
    "server.clock_offset",
    "last_error.code",
    "last_error.message",
    "last_error.at",
    "last_error.next_step",
    "webhook.state",
    "webhook.since",
    "webhook.last_error.code",
    "webhook.last_error.at",
    "config.loaded_at",
    "config.needs_restart.*",
    "config.watched",
    "version",
    "daemon.started_at",
    "daemon.config_file",
    "daemon.state_dir",
    "daemon.api_socket",
    "daemon.admin_socket",
    "daemon.metrics_listen",
    "daemon.now",
    "daemon.pid",
    "daemon.uid",
    "daemon.guests.users.*",
    "daemon.guests.groups.*",
    "daemon.open_files_limit",
    "daemon.history_dropped",
];

/// Settings whose values are told. `redirect_uri` and `proxy` are not: either may carry a secret.
pub(super) const CONFIG: &[&str] = &[
    "platform",
    "site_url",
    "issuer",
    "api_base",
    "audience",
    "plugin_version",
    "platform_version",
    "ca_only",
    "key.store",
    "local.socket",
    "local.tcp",
    "local.allow_users.*",
    "local.allow_groups.*",
    "local.admin_users.*",
    "local.proofs",
    "local.metrics_listen",
    "site.check_path",
];

/// Settings of which it is told only that they are set.
pub(super) const NAMES_ONLY: &[&str] = &[
    "redirect_uri",
    "webhook_url",
    "proxy",
    "proxy_credentials_file",
    "ca_file",
    "key.seal_file",
    "key.module",
    "key.token",
    "key.label",
    "key.pin_file",
    "key.tcti",
    "local.tcp_token_file",
];

/// Details of records.
pub(super) const DETAIL: &[&str] = &[
    "uid",
    "client",
    "method",
    "path",
    "outcome",
    "first_at",
    "version",
    "expires_at",
    "seconds",
    "offset_s",
    "confirmed",
    "rebuilt",
    "key",
    "from",
    "to",
];

/// What of `value` is on the list.
pub(super) fn pick(value: &Value, paths: &[&str]) -> Value {
    let split: Vec<Vec<&str>> = paths.iter().map(|path| path.split('.').collect()).collect();
    let paths: Vec<&[&str]> = split.iter().map(Vec::as_slice).collect();
    pick_below(value, &paths).unwrap_or(Value::Null)
}

fn pick_below(value: &Value, paths: &[&[&str]]) -> Option<Value> {
    let ends = paths.iter().any(|path| path.is_empty());
    let below = |name: &str| -> Vec<&[&str]> {
        paths.iter().filter(|path| path.first() == Some(&name)).map(|path| &path[1..]).collect()
    };
    match value {
        Value::Object(members) => {
            let picked = members.iter().filter_map(|(name, member)| {
                let below = below(name);
                let picked = if below.is_empty() { None } else { pick_below(member, &below) };
                picked.map(|picked| (name.clone(), picked))
            });
            (!ends).then(|| Value::Object(picked.collect::<Map<_, _>>()))
        }
        Value::Array(entries) => {
            let below = below("*");
            let picked = entries.iter().filter_map(|entry| pick_below(entry, &below));
            (!ends && !below.is_empty()).then(|| Value::Array(picked.collect()))
        }
        // A list or an object where a plain value should be is not what was vetted.
        plain => (ends || plain.is_null()).then(|| plain.clone()),
    }
}
