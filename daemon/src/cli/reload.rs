//! `counterfoild reload`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Result;
use clap::Args;
use counterfoil_protocol::UnixTime;
use reqwest::Method;
use serde_json::Value;

use super::{
    Where,
    admin::{Admin, block_on},
    say, say_json,
};
use crate::{
    clock::{Clock as _, System},
    moment::{Moments, relative},
};

/// The exit code when some settings wait for a restart.
const NEEDS_RESTART: u8 = 3;

#[derive(Args, Debug)]
pub(super) struct Reload {
    #[command(flatten)]
    place: Where,
    /// Print the daemon's answer as JSON
    #[arg(long)]
    json: bool,
}

impl Reload {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let admin = Admin::order(&self.place).await?;
            let answer = match admin.exchange(Method::POST, "/v1/admin/reload", None).await {
                Ok(answer) => answer,
                Err(unhelped) if self.json => {
                    say_json(&serde_json::to_string_pretty(&unhelped.json())?);
                    return Ok(ExitCode::FAILURE);
                }
                Err(unhelped) => return Err(unhelped.into()),
            };
            if self.json {
                say_json(&serde_json::to_string_pretty(&answer)?);
            } else {
                say(&told(&answer, System.now(), &Moments::new(false)));
            }
            let waiting = !names(&answer, "needs_restart").is_empty();
            Ok(if waiting { ExitCode::from(NEEDS_RESTART) } else { ExitCode::SUCCESS })
        })
    }
}

fn names<'a>(answer: &'a Value, member: &str) -> Vec<&'a str> {
    let names = answer.get(member).and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn told(answer: &Value, now: UnixTime, moments: &Moments) -> String {
    let word = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let (changed, waiting) = (names(answer, "changed"), names(answer, "needs_restart"));
    let before = answer.get("loaded_before").and_then(Value::as_i64).map(UnixTime);
    let before = before.map_or(String::new(), |at| {
        format!(" since it was loaded at {} ({})", moments.exact(at), relative(at, now))
    });
    let mut told = match changed.as_slice() {
        [] => format!("The store's file is read; no setting has changed{before}."),
        changed => format!("The store's file is read. Changed: {}.", changed.join(", ")),
    };
    if waiting.is_empty() {
        told.push_str(" All that stands in it is in force.");
    } else {
        let waiting = waiting.join(", ");
        let _ = write!(told, "\nTakes effect when the daemon is started again: {waiting}.");
    }
    if matches!(word("state"), "safe_mode" | "degraded") {
        let _ = write!(told, "\n{}\nWhat to do: {}", word("summary"), word("next_step"));
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_hear_what_changed_what_waits_and_what_came_of_it() {
        let now = 1_800_000_000;
        for (changed, waiting, state, expected) in [
            (
                json!([]),
                json!([]),
                "connected",
                "The store's file is read; no setting has changed since it was loaded at 2027-01-15 07:59:57Z (3 s ago). All \
                 that stands in it is in force.",
            ),
            (
                json!(["audience", "local.proofs"]),
                json!([]),
                "connected",
                "The store's file is read. Changed: audience, local.proofs. All that stands in it is in force.",
            ),
            (
                json!(["local.tcp"]),
                json!(["local.tcp"]),
                "degraded",
                "The store's file is read. Changed: local.tcp.\n\
                 Takes effect when the daemon is started again: local.tcp.\n\
                 It may be a copy.\nWhat to do: Decide.",
            ),
            (
                json!(["site_url"]),
                json!([]),
                "safe_mode",
                "The store's file is read. Changed: site_url. All that stands in it is in force.\n\
                 It may be a copy.\nWhat to do: Decide.",
            ),
        ] {
            let answer = json!({
                "changed": changed, "needs_restart": waiting, "rebuilt": false, "loaded_before": now - 3,
                "state": state, "summary": "It may be a copy.", "next_step": "Decide.",
            });
            assert_eq!(told(&answer, UnixTime(now), &Moments::new(true)), expected);
        }
    }
}
