//! `counterfoil webhook`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use counterfoil_protocol::UnixTime;
use reqwest::Method;
use serde_json::Value;

use super::{
    Where,
    admin::{Admin, block_on},
    say,
};
use crate::moment::Moments;

#[derive(Args, Debug)]
pub(super) struct WebhookCommand {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Ask the platform for a new secret to sign its notifications with; the one before counts for 24 hours more
    Rotate(Place),
    /// Say whether the platform's notifications come, and where to
    Show(Place),
}

#[derive(Args, Debug)]
struct Place {
    #[command(flatten)]
    place: Where,
}

impl WebhookCommand {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let view = match self.command {
                Verb::Rotate(Place { place }) => {
                    let path = "/v1/admin/webhook/rotate";
                    Admin::order(&place).await?.ask(Method::POST, path, None).await?
                }
                Verb::Show(Place { place }) => {
                    let status =
                        Admin::find(&place)?.ask(Method::GET, "/v1/admin/status", None).await?;
                    if status.get("state").and_then(Value::as_str) == Some("reconnect_required") {
                        return Ok(ended(&status));
                    }
                    status
                        .get("webhook")
                        .cloned()
                        .context("the daemon is older than this command")?
                }
            };
            say(&told(&view));
            // 2 tells a script that they do not come, or not yet.
            let active = view.get("state").and_then(Value::as_str) == Some("active");
            Ok(if active { ExitCode::SUCCESS } else { ExitCode::from(2) })
        })
    }
}

/// Says that nothing is known of notifications any more, and what to do: they may come as long as the approval stands.
fn ended(status: &Value) -> ExitCode {
    let word = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or_default();
    say(&format!(
        "Whether the platform's notifications come is not known. {}\nWhat to do: {}",
        word("summary"),
        word("next_step")
    ));
    ExitCode::from(2)
}

/// The state of notifications for people.
fn told(view: &Value) -> String {
    let text = |path: &str| view.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let summary = match text("/state").as_deref() {
        Some("active") => {
            "The platform's notifications come, and are signed with a secret that the daemon keeps."
        }
        Some("pending") => {
            "The platform has not agreed yet to send notifications; the daemon keeps asking."
        }
        Some("refused") => "The platform refused to send notifications.",
        Some("waiting") => "Notifications are asked for when the store is connected.",
        _ => "No notifications are wanted: webhook_url is not set in the store's file.",
    };
    let since = view.pointer("/since").and_then(Value::as_i64);
    let since = since.map(|at| Moments::new(true).exact(UnixTime(at)));
    let error = text("/last_error/message")
        .map(|message| format!("{message} {}", text("/last_error/next_step").unwrap_or_default()));
    let lines = [
        ("To", text("/url")),
        ("Subscription", text("/subscription_id")),
        ("Secret since", since),
        ("Last trouble", error),
    ];
    let mut told = summary.to_owned();
    for (name, value) in lines {
        if let Some(value) = value {
            let _ = write!(told, "\n{name:<15} {value}");
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_read_what_is_and_where() {
        let view = json!({
            "state": "active", "url": "https://shop.example/hook", "subscription_id": "sub_1",
            "since": 1_800_000_000, "last_error": null,
        });
        let expected = "The platform's notifications come, and are signed with a secret that the daemon keeps.\n\
            To              https://shop.example/hook\n\
            Subscription    sub_1\n\
            Secret since    2027-01-15 08:00:00Z";
        assert_eq!(told(&view), expected);
        let off = json!({ "state": "off", "url": null, "last_error": null });
        assert!(told(&off).contains("webhook_url"));
    }
}
