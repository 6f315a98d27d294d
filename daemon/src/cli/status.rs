//! `counterfoild status`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::Value;

use super::{
    Where,
    admin::{Admin, block_on},
    say,
};

#[derive(Args, Debug)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    place: Where,
    /// Print the daemon's answer as JSON
    #[arg(long)]
    json: bool,
}

impl StatusCommand {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let status = Admin::find(&self.place)?.ask(Method::GET, "/v1/status", None).await?;
            let text =
                if self.json { serde_json::to_string_pretty(&status)? } else { told(&status) };
            say(&text);
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Status for people: the two sentences first, then what is known, each on a line of its own.
fn told(status: &Value) -> String {
    let text = |path: &str| status.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let time = |path: &str| status.pointer(path).and_then(Value::as_i64).map(moment);
    let reachable = status.pointer("/server/reachable").and_then(Value::as_bool);
    let offset = status.pointer("/server/clock_offset").and_then(Value::as_i64);
    let list = |path: &str| {
        let list = status.pointer(path).and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
    };
    let scopes = list("/scopes");
    let waiting = list("/config/needs_restart");
    let company = text("/company/name").or_else(|| text("/company/id"));
    let error = text("/last_error/message").map(|message| {
        let at = time("/last_error/at").unwrap_or_default();
        let next_step = text("/last_error/next_step").unwrap_or_default();
        format!("{message} ({at}) {next_step}")
    });
    let recoveries = status.pointer("/recoveries/count").and_then(Value::as_u64);
    let recovered = recoveries.filter(|count| *count > 0).map(|count| {
        format!("{count} times, last {}", time("/recoveries/last_at").unwrap_or_default())
    });
    let lines = [
        ("State", text("/state")),
        ("Company", company),
        ("Permissions", scopes),
        ("Connected", time("/connected_at")),
        ("Token renews", time("/token/renews_at")),
        ("Token ends", time("/token/expires_at")),
        ("Recovered", recovered),
        ("Approval until", time("/pending/expires_at")),
        ("Store", text("/site_url")),
        ("Platform", text("/platform")),
        ("Server", text("/issuer")),
        ("Server answers", reachable.map(|yes| if yes { "yes" } else { "no" }.to_owned())),
        ("Asked", time("/server/checked_at")),
        (
            "Clock",
            offset.filter(|offset| *offset != 0).map(|it| format!("{it} s off the server's")),
        ),
        ("Installation", text("/client_id")),
        ("Key", text("/thumbprint")),
        ("Store's file", text("/config/error").map(|error| format!("not gone by: {error}"))),
        ("Needs restart", waiting.filter(|waiting| !waiting.is_empty())),
        ("Last trouble", error),
        ("Version", text("/version")),
    ];
    let mut told = format!(
        "{}\n{}\n",
        text("/summary").unwrap_or_default(),
        text("/next_step").unwrap_or_default()
    );
    told.push_str(&safe_mode(status));
    for (name, value) in lines {
        if let Some(value) = value {
            let _ = write!(told, "\n{name:<15} {value}");
        }
    }
    told
}

/// Why the daemon is in safe mode, and what can be done.
fn safe_mode(status: &Value) -> String {
    let list = |path: &str| status.pointer(path).and_then(Value::as_array).into_iter().flatten();
    let mut told = String::new();
    for sign in list("/safe_mode/evidence").filter_map(|sign| sign.get("message")?.as_str()) {
        let _ = write!(told, "\n- {sign}");
    }
    for choice in list("/safe_mode/choices") {
        let word = |name: &str| choice.get(name).and_then(Value::as_str);
        let _ = write!(told, "\n\n{}", word("message").unwrap_or_default());
        if let Some(command) = word("command") {
            let _ = write!(told, "\n    {command}");
        }
    }
    if !told.is_empty() {
        told.push('\n');
    }
    told
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_read_the_sentences_first_and_no_empty_lines_of_facts() {
        let status = json!({
            "state": "connected",
            "summary": "Connected to Ada & Co.",
            "next_step": "Nothing to do.",
            "company": { "id": "co_1", "name": "Ada & Co" },
            "scopes": ["company:read", "makepay:payment-links:read"],
            "connected_at": 1_800_000_000,
            "token": null,
            "server": { "reachable": true, "checked_at": null, "clock_offset": null },
            "last_error": null,
            "config": { "error": "issuer: no", "needs_restart": ["local.tcp"] },
        });
        let expected = "Connected to Ada & Co.\nNothing to do.\n\n\
            State           connected\n\
            Company         Ada & Co\n\
            Permissions     company:read makepay:payment-links:read\n\
            Connected       2027-01-15T08:00:00Z\n\
            Server answers  yes\n\
            Store's file    not gone by: issuer: no\n\
            Needs restart   local.tcp";
        assert_eq!(told(&status), expected);
    }
}
