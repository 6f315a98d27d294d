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
}
