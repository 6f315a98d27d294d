//! `counterfoild key`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Where,
    admin::{Admin, block_on},
    say,
};

#[derive(Args, Debug)]
pub(super) struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Put another key in the place of this one; asks the merchant only where the payment platform wants that
    Rotate {
        #[command(flatten)]
        place: Where,
    },
    /// Name the key in force, the next one and the one before
    Show {
        #[command(flatten)]
        place: Where,
    },
}

impl Key {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            match self.verb {
                Verb::Rotate { place } => rotate(&place).await,
                Verb::Show { place } => show(&place).await,
            }
        })
    }
}

async fn rotate(place: &Where) -> Result<ExitCode> {
    let admin = Admin::order(place).await?;
    let answer = admin.ask(Method::POST, "/v1/admin/key/rotate", Some(json!({}))).await?;
    for member in ["summary", "next_step"] {
        say(answer.get(member).and_then(Value::as_str).unwrap_or_default());
    }
    say(&told(&answer));
    // 2 tells a script that the new key is not in force yet.
    let rotated = answer.get("rotated") == Some(&Value::Bool(true));
    Ok(if rotated { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

async fn show(place: &Where) -> Result<ExitCode> {
    let keys = Admin::find(place)?.ask(Method::GET, "/v1/admin/key", None).await?;
    say(&told(&keys));
    Ok(ExitCode::SUCCESS)
}

/// A line a key.
fn told(keys: &Value) -> String {
    let word = |path: &str| keys.pointer(path).and_then(Value::as_str);
    let asking = keys.pointer("/next/asking") == Some(&Value::Bool(true));
    let waits = if asking { "the platform is being asked" } else { "waits for an approval" };
    let lines = [
        word("/thumbprint").map(|key| format!("In force  {key}")),
        word("/next/thumbprint").map(|key| format!("Next      {key} ({waits})")),
        word("/former/thumbprint")
            .map(|key| format!("Former    {key} (kept until the one in force has renewed tokens)")),
    ];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_key_there_is() {
        let keys = json!({
            "thumbprint": "one",
            "next": { "thumbprint": "two", "since": 1, "asking": false },
            "former": null,
        });
        assert_eq!(told(&keys), "In force  one\nNext      two (waits for an approval)");
    }
}
