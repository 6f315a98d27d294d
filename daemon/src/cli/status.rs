//! `counterfoild status`.

mod told;

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use self::told::Told;
use super::{
    Where,
    admin::{Admin, Silence, block_on},
    paint::{Colour, Paint},
    say, say_json,
};
use crate::{
    clock::{Clock as _, System},
    history::{self, Kind, Query},
    moment::Moments,
    places::Places,
    session::Condition,
};

/// Nobody answers: the exit code for scripts.
const SILENT: u8 = 6;

/// How long a watch waits before it asks again who did not answer, and redraws what has not changed.
const AGAIN: Duration = Duration::from_secs(2);
const REDRAW: Duration = Duration::from_secs(30);

#[derive(Args, Debug)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    place: Where,
    /// Print the daemon's answer as JSON
    #[arg(long)]
    json: bool,
    /// Go on, and say it anew whenever it changes
    #[arg(long)]
    watch: bool,
    /// Times of UTC instead of this machine's time zone
    #[arg(long)]
    utc: bool,
}

impl StatusCommand {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let found = self.place.find()?;
            let (admin, places) = (Admin::briefly(&found)?, &found.places);
            if self.watch {
                self.watch(&admin, places).await
            } else {
                let (text, code) = self.look(&admin, places).await?;
                self.tell(&text);
                Ok(code)
            }
        })
    }

    /// Says it to whom it is for.
    fn tell(&self, text: &str) {
        if self.json { say_json(text) } else { say(text) }
    }

    /// How it is now, in words, and the exit code that says the same.
    async fn look(&self, admin: &Admin, places: &Places) -> Result<(String, ExitCode)> {
        match admin.text("/v1/admin/status").await {
            Ok(text) => {
                let status: Value = serde_json::from_str(&text)?;
                let code = exit_code(&status);
                let text = if self.json {
                    serde_json::to_string_pretty(&status)?
                } else {
                    let (moments, paint) = (Moments::new(self.utc), Paint::for_stdout());
                    Told { status: &status, moments, paint, now: System.now() }.whole()
                };
                Ok((text, ExitCode::from(code)))
            }
            Err(unhelped) => {
                let told = self.without_daemon(&unhelped.words(), places)?;
                Ok((told, ExitCode::from(SILENT)))
            }
        }
    }

    /// What can be said where nobody answers.
    fn without_daemon(&self, silence: &Silence, places: &Places) -> Result<String> {
        let calls = [Kind::Called, Kind::Refused];
        let kinds = Kind::ALL.iter().copied().filter(|kind| !calls.contains(kind)).collect();
        let query = Query { limit: 3, kinds, since: None };
        let last = history::read(&places.state_dir.join(history::FILE), &query).unwrap_or_default();
        if self.json {
            let told = json!({
                "state": "unknown",
                "condition": "silent",
                "summary": silence.why,
                "next_step": silence.next_step,
                "last_events": last,
            });
            return Ok(serde_json::to_string_pretty(&told)?);
        }
        let (moments, paint, now) = (Moments::new(self.utc), Paint::for_stdout(), System.now());
        let mut text =
            format!("{}\n{}\n", paint.with(Colour::Red, &silence.why), silence.next_step);
        if !last.is_empty() {
            text.push_str("\nWhat it did last:");
            for record in last {
                let _ = write!(text, "\n  {}  {}", moments.both(record.at, now), record.summary);
            }
            text.push('\n');
        }
        text.push_str("\nThe checks that need no daemon: counterfoild doctor");
        Ok(text)
    }

    /// Says how it is, and again at each change: on a terminal in place, otherwise a line each.
    async fn watch(&self, admin: &Admin, places: &Places) -> Result<ExitCode> {
        let in_place = Paint::for_stdout().is_on() && !self.json;
        let mut before = None;
        loop {
            let Ok(mut changes) = admin.follow("/v1/events").await else {
                self.show(admin, places, in_place, &mut before).await?;
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            loop {
                self.show(admin, places, in_place, &mut before).await?;
                match tokio::time::timeout(REDRAW, changes.chunk()).await {
                    Ok(Ok(Some(_))) | Err(_) => {}
                    Ok(Ok(None) | Err(_)) => break,
                }
            }
        }
    }

    async fn show(
        &self,
        admin: &Admin,
        places: &Places,
        in_place: bool,
        before: &mut Option<String>,
    ) -> Result<()> {
        if in_place {
            let (text, _) = self.look(admin, places).await?;
            // Home, and everything below it cleared.
            say(&format!("\x1b[H\x1b[2J{text}"));
            return Ok(());
        }
        let line = self.line(admin).await?;
        if before.as_ref() != Some(&line) {
            let at = Moments::new(self.utc).exact(System.now());
            self.tell(&if self.json { line.clone() } else { format!("{at}  {line}") });
            *before = Some(line);
        }
        Ok(())
    }

    /// Status in one line.
    async fn line(&self, admin: &Admin) -> Result<String> {
        let status: Value = match admin.text("/v1/admin/status").await {
            Ok(text) => serde_json::from_str(&text)?,
            Err(unhelped) => {
                let silence = unhelped.words();
                json!({
                    "state": "unknown",
                    "condition": "silent",
                    "summary": silence.why,
                    "next_step": silence.next_step,
                })
            }
        };
        if self.json {
            return Ok(status.to_string());
        }
        let word = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or_default();
        Ok(format!("{}  {} {}", word("state"), word("summary"), word("next_step")))
    }
}

/// What scripts go by. A daemon that is too old to tell its condition is judged by its state.
fn exit_code(status: &Value) -> u8 {
    let told = status.get("condition").cloned().unwrap_or_default();
    match serde_json::from_value(told) {
        Ok(Condition::Working) => 0,
        Ok(Condition::NotConnected) => 3,
        Ok(Condition::Impaired) => 5,
        Err(_) if status.get("state").and_then(Value::as_str) == Some("connected") => 0,
        Ok(Condition::NeedsPerson) | Err(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_have_exit_codes_of_their_own() {
        for (status, code) in [
            (json!({ "condition": "working" }), 0),
            (json!({ "condition": "not_connected" }), 3),
            (json!({ "condition": "needs_person" }), 4),
            (json!({ "condition": "impaired" }), 5),
            (json!({ "condition": "something_new" }), 4),
            (json!({ "state": "connected" }), 0),
            (json!({}), 4),
        ] {
            assert_eq!(exit_code(&status), code, "{status}");
        }
    }
}
