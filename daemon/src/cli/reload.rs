//! `counterfoild reload`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{
    Where,
    admin::{Admin, block_on},
    say,
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
            let admin = Admin::find(&self.place)?;
            let answer = admin.ask(Method::POST, "/v1/admin/reload", None).await?;
            let waiting = !names(&answer, "needs_restart").is_empty();
            let text =
                if self.json { serde_json::to_string_pretty(&answer)? } else { told(&answer) };
            say(&text);
            Ok(if waiting { ExitCode::from(NEEDS_RESTART) } else { ExitCode::SUCCESS })
        })
    }
}

fn names<'a>(answer: &'a Value, member: &str) -> Vec<&'a str> {
    let names = answer.get(member).and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn told(answer: &Value) -> String {
    let (changed, waiting) = (names(answer, "changed"), names(answer, "needs_restart"));
    let mut told = match changed.as_slice() {
        [] => "The store's file is read; no setting has changed.".to_owned(),
        changed => format!("The store's file is read. Changed: {}.", changed.join(", ")),
    };
    if !waiting.is_empty() {
        let waiting = waiting.join(", ");
        let _ = write!(told, "\nTakes effect when the daemon is started again: {waiting}.");
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_hear_what_changed_and_what_waits() {
        for (changed, waiting, expected) in [
            (json!([]), json!([]), "The store's file is read; no setting has changed."),
            (
                json!(["audience", "local.proofs"]),
                json!([]),
                "The store's file is read. Changed: audience, local.proofs.",
            ),
            (
                json!(["local.tcp"]),
                json!(["local.tcp"]),
                "The store's file is read. Changed: local.tcp.\n\
                 Takes effect when the daemon is started again: local.tcp.",
            ),
        ] {
            let answer = json!({ "changed": changed, "needs_restart": waiting, "rebuilt": false });
            assert_eq!(told(&answer), expected);
        }
    }
}
