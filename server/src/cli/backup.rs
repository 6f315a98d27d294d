//! `backup` and `restore`.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::json;

use super::{
    audit::{described, line},
    operator::{self, Operator, answer, moment},
};
use crate::{
    backup::{self, Plan},
    clock,
    config::Config,
    store::{Audit as _, Deed},
};

#[derive(clap::Args)]
pub struct Backup {
    /// The directory to make, or an empty one.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Copies the keys too. Whoever has such a backup can make tokens and read what is sealed.
    #[arg(long)]
    with_keys: bool,
}

impl Backup {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let deed = Deed {
            at: operator.now,
            event: "backed_up",
            actor: operator.actor.clone(),
            subject: None,
            detail: if self.with_keys { "with keys" } else { "without keys" }.to_owned(),
        };
        // Before the copy, so that it is in it.
        operator::wait(operator.store.note_deed(deed))??;
        let (data, now) = (&operator.config.data_dir, operator.now);
        let made = backup::make(data, &self.to, self.with_keys, &operator.vault, now)?;
        let mut text = format!(
            "backed up to {}: {} bytes, SHA-256 {}",
            self.to.display(),
            made.database_bytes,
            made.database_sha256
        );
        text.push_str(if made.with_keys {
            "\nThe keys are in it: whoever has it can make tokens and read what is sealed. Guard it as you guard them."
        } else {
            "\nThe keys are NOT in it, and without them it opens nothing: keep a copy of the directory keys/ elsewhere \
             (again after each `key rotate`), and of the at-rest key if that is a credential of systemd."
        });
        let value = json!({
            "directory": self.to, "created_at": moment(made.created_at), "database_bytes": made.database_bytes,
            "database_sha256": made.database_sha256, "schema": made.schema, "with_keys": made.with_keys,
        });
        operator.answer(&value, &text)
    }
}

#[derive(clap::Args)]
pub struct Restore {
    /// The backup.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Does it although a database is there. That one is set aside.
    #[arg(long)]
    force: bool,
}

impl Restore {
    pub fn run(self, config: &Config, json: bool) -> anyhow::Result<()> {
        let (clock, _) = clock::system();
        let credentials = operator::credentials();
        let plan = Plan::look(&self.from, &config.data_dir, credentials.as_deref())?;
        let mut lines = told(&plan);
        if plan.replaces && !self.force {
            bail!(
                "there is a database in {} already.\n{}\nNothing was changed. To go on all the same, add --force",
                config.data_dir.display(),
                lines.join("\n")
            );
        }
        let done = operator::wait(plan.carry_out(&operator::actor(), clock.now()))??;
        if let Some(aside) = &done.set_aside {
            lines.push(format!("what was there is in {}", aside.display()));
        }
        if !done.has_signing_keys {
            lines.push(
                "there are no signing keys: put keys/ back from where you keep it, or run: counterfoil-server key rotate"
                    .to_owned(),
            );
        }
        lines.push(format!("restored the backup of {}", moment(plan.manifest.created_at)));
        let value = json!({
            "restored": true, "created_at": moment(plan.manifest.created_at), "records_lost": plan.lost,
            "undone": plan.undone.iter().map(described).collect::<Vec<_>>(),
            "unknown": plan.unknown, "set_aside": done.set_aside, "has_signing_keys": done.has_signing_keys,
        });
        answer(json, &value, &lines.join("\n"))
    }
}

/// What the restore undoes, in lines.
fn told(plan: &Plan) -> Vec<String> {
    if let Some(unknown) = &plan.unknown {
        return vec![format!(
            "What was revoked since the backup cannot be told: {unknown}. Look at your export of the audit trail."
        )];
    }
    if !plan.replaces {
        return vec![
            "No database was here, so what was revoked since the backup cannot be told. Look at your export of the audit trail."
                .to_owned(),
        ];
    }
    let mut lines =
        vec![format!("{} records of the audit trail are newer than the backup.", plan.lost)];
    if !plan.undone.is_empty() {
        lines.push("This ended since, and stands again after the restore; end it anew:".to_owned());
        lines.extend(plan.undone.iter().map(|record| format!("  {}", line(record))));
    }
    lines
}
