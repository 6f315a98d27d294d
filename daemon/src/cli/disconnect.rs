//! `counterfoild disconnect`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Where,
    admin::{Admin, block_on},
    say,
};

#[derive(Args, Debug)]
pub(super) struct Disconnect {
    #[command(flatten)]
    place: Where,
    /// End the connection on this side alone, without the payment platform
    #[arg(long)]
    forget: bool,
}

impl Disconnect {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let body = json!({ "forget": self.forget });
            let admin = Admin::order(&self.place).await?;
            let answer = admin.ask(Method::POST, "/v1/disconnect", Some(body)).await?;
            let word =
                |path: &str| answer.pointer(path).and_then(Value::as_str).unwrap_or_default();
            say(word("/summary"));
            if let Some(leftover) = answer.get("leftover").filter(|leftover| !leftover.is_null()) {
                let company = leftover.pointer("/company/name").or(leftover.pointer("/company/id"));
                let named = |value: Option<&Value>| {
                    value.and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                say(&format!(
                    "Still standing at the payment platform: the approval {} of {} for the installation {}.",
                    named(leftover.get("grant_id")),
                    named(company),
                    named(leftover.get("client_id")),
                ));
            }
            say(word("/next_step"));
            // 2 tells a script that the end is not confirmed yet.
            let pending = word("/state") == "disconnect_pending";
            Ok(if pending { ExitCode::from(2) } else { ExitCode::SUCCESS })
        })
    }
}
