//! `counterfoild doctor`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::{
    Where,
    admin::{Admin, block_on},
    paint::{Colour, Paint},
    say, say_json,
};
use crate::{
    clock::System,
    doctor::{self, Finding, Level, Patient},
};

#[derive(Args, Debug)]
pub(super) struct Doctor {
    #[command(flatten)]
    place: Where,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let patient = patient(&self.place).await?;
            let findings = doctor::examine(&patient, &System).await;
            if self.json {
                say_json(&serde_json::to_string_pretty(&json!({ "findings": findings }))?);
            } else {
                say(&told(&findings, Paint::for_stdout()));
            }
            Ok(ExitCode::from(doctor::exit_code(&findings)))
        })
    }
}

/// Whom the arguments speak of, and what he says himself.
pub(super) async fn patient(place: &Where) -> Result<Patient> {
    let found = place.look()?;
    let admin = Admin::briefly(&found)?;
    let live = match admin.text("/v1/admin/status").await {
        Ok(text) => {
            // The history is asked for once, so that what was only counted so far is in its file.
            let _ = admin.text("/v1/admin/events?limit=1").await;
            Ok(serde_json::from_str(&text)?)
        }
        Err(unhelped) => {
            let silence = unhelped.words();
            Err((silence.why, silence.next_step))
        }
    };
    let (places, is_sure) = (found.places, found.is_sure);
    Ok(Patient { places, config_file: place.config_file(), live, is_sure })
}

/// The findings for people: a line each, what to do below it, and how it ends.
pub(super) fn told(findings: &[Finding], paint: Paint) -> String {
    let mut told = String::new();
    for Finding { check, level, says, next_step } in findings {
        let (colour, word) = match level {
            Level::Ok => (Colour::Green, "ok"),
            Level::Warning => (Colour::Yellow, "warning"),
            Level::Problem => (Colour::Red, "problem"),
        };
        let _ = writeln!(told, "{}  {check:<12} {says}", paint.with(colour, &format!("{word:<7}")));
        if let Some(next_step) = next_step {
            let _ = writeln!(told, "{:<22}{}", "", paint.with(Colour::Bold, next_step));
        }
    }
    let count = |wanted| findings.iter().filter(|finding| finding.level == wanted).count();
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    let ok = count(Level::Ok);
    let _ = write!(told, "\nProblems: {problems}. Warnings: {warnings}. In order: {ok}.");
    told
}
