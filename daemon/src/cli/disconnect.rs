//! `counterfoild disconnect`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Where,
    admin::{Admin, block_on},
    agreed, say,
};

/// What to do after a disconnect that the platform confirmed.
const CONNECT_AGAIN: &str = "To connect this store again, press Connect in the plugin's settings, or run: counterfoild connect";

#[derive(Args, Debug)]
pub(super) struct Disconnect {
    #[command(flatten)]
    place: Where,
    /// End the connection on this side alone, without the payment platform
    #[arg(long)]
    forget: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Disconnect {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let body = json!({ "forget": self.forget });
            let admin = Admin::order(&self.place).await?;
            let status = admin.ask(Method::GET, "/v1/admin/status", None).await?;
            if let Some(ends) = ends(&status, self.forget) {
                say(&ends);
                if !agreed("Go on?", self.yes)? {
                    bail!("nothing is changed");
                }
            }
            let answer = admin.ask(Method::POST, "/v1/disconnect", Some(body)).await?;
            let word =
                |path: &str| answer.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let ended = ended(&status, &answer, self.forget);
            say(ended.as_deref().unwrap_or_else(|| word("/summary")));
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
            say(if ended.is_some() { CONNECT_AGAIN } else { word("/next_step") });
            // 2 tells a script that the end is not confirmed yet.
            let pending = word("/state") == "disconnect_pending";
            Ok(if pending { ExitCode::from(2) } else { ExitCode::SUCCESS })
        })
    }
}

/// What ends; `None` where nothing does: without a connection, while it ends already, and in safe mode.
fn ends(status: &Value, forget: bool) -> Option<String> {
    let word = |path: &str| status.pointer(path).and_then(Value::as_str);
    if word("/state") == Some("safe_mode")
        || (word("/state") == Some("disconnect_pending") && !forget)
    {
        return None;
    }
    let company = word("/company/name").or(word("/company/id"))?;
    let mut ends = format!(
        "The connection to {company} ends: no payment can be begun and no notification comes until a merchant connects this store again."
    );
    if forget {
        ends.push_str(
            " The payment platform is not told, so the merchant must revoke this store there.",
        );
    }
    Some(ends)
}

/// What has ended, where the platform has said so; `None` where there was nothing, or it stands there still.
fn ended(status: &Value, answer: &Value, forget: bool) -> Option<String> {
    let over = answer.pointer("/state").and_then(Value::as_str) == Some("disconnected");
    let left = answer.get("leftover").is_some_and(|leftover| !leftover.is_null());
    if forget || left || !over {
        return None;
    }
    let word = |path: &str| status.pointer(path).and_then(Value::as_str);
    let company = word("/company/name").or(word("/company/id"))?;
    Some(format!(
        "The connection to {company} has ended; the payment platform has confirmed that it ended there too."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_is_said_and_nothing_is_asked_where_nothing_does() {
        let company = json!({ "id": "co_1", "name": "Ada & Co" });
        for (state, company, forget, says) in [
            ("connected", &company, false, Some(("Ada & Co", false))),
            ("connected", &company, true, Some(("Ada & Co", true))),
            ("connected", &json!({ "id": "co_1", "name": null }), false, Some(("co_1", false))),
            ("reconnect_required", &company, false, Some(("Ada & Co", false))),
            ("disconnect_pending", &company, false, None),
            ("disconnect_pending", &company, true, Some(("Ada & Co", true))),
            ("safe_mode", &company, true, None),
            ("disconnected", &Value::Null, false, None),
            ("degraded", &Value::Null, true, None),
        ] {
            let told = ends(&json!({ "state": state, "company": company }), forget);
            let expected =
                says.map(|(name, untold)| (format!("The connection to {name} ends: "), untold));
            assert_eq!(told.is_some(), expected.is_some(), "{state}: {told:?}");
            let (Some(told), Some((begins, untold))) = (told, expected) else { continue };
            assert!(told.starts_with(&begins), "{told}");
            assert_eq!(told.contains("must revoke this store there"), untold, "{told}");
        }
    }

    #[test]
    fn an_end_is_told_as_confirmed_only_where_the_platform_confirmed_it() {
        let status = json!({ "company": { "id": "co_1", "name": "Ada & Co" } });
        let answer = |state: &str, leftover: Value| json!({ "state": state, "leftover": leftover });
        for (status, answer, forget, says) in [
            (&status, answer("disconnected", Value::Null), false, true),
            (&status, answer("disconnected", Value::Null), true, false),
            (&status, answer("disconnected", json!({ "grant_id": "g" })), false, false),
            (&status, answer("disconnect_pending", Value::Null), false, false),
            (&json!({ "company": null }), answer("disconnected", Value::Null), false, false),
        ] {
            let told = ended(status, &answer, forget);
            let named = "The connection to Ada & Co has ended; the payment platform has confirmed";
            assert_eq!(told.is_some(), says, "{answer}");
            assert!(told.is_none_or(|told| told.starts_with(named)), "{answer}");
        }
    }
}
