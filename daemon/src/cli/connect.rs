//! `counterfoild connect`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{
    Where,
    admin::{Admin, block_on},
    say,
};

#[derive(Args, Debug)]
pub(super) struct Connect {
    #[command(flatten)]
    place: Where,
    /// Ask for these permissions only
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Print the address and do not wait
    #[arg(long)]
    no_wait: bool,
}

impl Connect {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let admin = Admin::find(&self.place)?;
            let before = admin.ask(Method::GET, "/v1/status", None).await?;
            let body =
                if self.scope.is_empty() { json!({}) } else { json!({ "scopes": self.scope }) };
            let answer = admin.ask(Method::POST, "/v1/connect", Some(body)).await?;
            let url = answer.get("authorization_url").and_then(Value::as_str).unwrap_or_default();
            say(&format!(
                "Open this address in a browser, choose the company and approve:\n\n{url}\n"
            ));
            if !self.no_wait {
                say("Waiting for the approval …");
                let changes = admin.follow("/v1/events").await?;
                say(&wait(&admin, changes, &before).await?);
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Looks at each change until there is a new connection, or until the attempt is over without one.
async fn wait(admin: &Admin, mut changes: Response, before: &Value) -> Result<String> {
    loop {
        let status = admin.ask(Method::GET, "/v1/status", None).await?;
        if let Some(ended) = judge(&status, before) {
            return ended;
        }
        // A line that means nothing comes every few seconds: the end of an attempt is seen by then at the latest.
        if !matches!(changes.chunk().await, Ok(Some(_))) {
            bail!("the daemon ended; start it, and look with: counterfoild status");
        }
    }
}

/// What a status says about the attempt; `None` while it goes on.
fn judge(status: &Value, before: &Value) -> Option<Result<String>> {
    let word = |path: &str| status.pointer(path).and_then(Value::as_str);
    let is_new = ["/connected_at", "/grant_id", "/token/issued_at"]
        .iter()
        .any(|path| status.pointer(path) != before.pointer(path));
    if status.get("pending").is_some_and(|pending| !pending.is_null()) {
        return None;
    }
    if word("/state") == Some("connected") && is_new {
        let company = word("/company/name").or(word("/company/id")).unwrap_or("the company");
        return Some(Ok(format!("Connected to {company}.")));
    }
    let why = word("/last_error/message").unwrap_or("The attempt ended without an approval.");
    let next_step = word("/last_error/next_step").unwrap_or("Run counterfoild connect again.");
    Some(Err(anyhow::anyhow!("{why}\nWhat to do: {next_step}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_ends_with_a_new_connection_or_without_one() {
        let before = json!({ "state": "connected", "connected_at": 1, "pending": null });
        let pending = json!({ "state": "connected", "connected_at": 1, "pending": { "since": 2 } });
        assert!(judge(&pending, &before).is_none());
        let company = json!({ "id": "co_1", "name": "Ada & Co" });
        let connected =
            json!({ "state": "connected", "connected_at": 3, "company": company, "pending": null });
        let told = judge(&connected, &before).expect("over").expect("connected");
        assert_eq!(told, "Connected to Ada & Co.");
        let error = json!({ "message": "No.", "next_step": "Press Connect." });
        let denied = json!({ "state": "connected", "connected_at": 1, "last_error": error, "pending": null });
        let told = judge(&denied, &before).expect("over").expect_err("not connected").to_string();
        assert_eq!(told, "No.\nWhat to do: Press Connect.");
        assert!(judge(&before, &before).expect("over").is_err());
    }
}
