//! `counterfoild connect`.

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use reqwest::Method;
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
                say(&wait(&admin, &before).await?);
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Looks until there is a new connection, or until the attempt is over without one.
async fn wait(admin: &Admin, before: &Value) -> Result<String> {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let status = admin.ask(Method::GET, "/v1/status", None).await?;
        let word = |path: &str| status.pointer(path).and_then(Value::as_str);
        let is_new = ["/connected_at", "/grant_id", "/token/issued_at"]
            .iter()
            .any(|path| status.pointer(path) != before.pointer(path));
        let pending = status.get("pending").is_some_and(|pending| !pending.is_null());
        if pending {
            continue;
        }
        if word("/state") == Some("connected") && is_new {
            let company = word("/company/name").or(word("/company/id")).unwrap_or("the company");
            return Ok(format!("Connected to {company}."));
        }
        let why = word("/last_error/message").unwrap_or("The attempt ended without an approval.");
        let next_step = word("/last_error/next_step").unwrap_or("Run counterfoild connect again.");
        bail!("{why}\nWhat to do: {next_step}");
    }
}
