//! `backup` and `restore`.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::bail;
use serde_json::{Value, json};

use super::{
    audit::{described, line},
    operator::{self, Operator, answer, moment},
};
use crate::{
    backup::{self, Plan},
    clock,
    config::Config,
    store::{Audit as _, Contents, Deed, Standing},
};

/// Connections that are shown to people one by one.
const SHOWN: usize = 100;

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
        backup::prepare(&self.to)?;
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
        let letters = operator.mail.waiting_letters()?;
        if letters > 0 {
            let outbox = operator.mail.outbox().0.display();
            let _ = write!(text, "\nLetters that wait in {outbox} are not in it: {letters}.");
        }
        let value = json!({
            "directory": self.to, "letters_left_out": letters, "created_at": moment(made.created_at), "database_bytes": made.database_bytes,
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
            "restored": true, "created_at": moment(plan.manifest.created_at), "records_lost": plan.unknown.is_none().then_some(plan.lost),
            "undone": plan.undone.iter().map(described).collect::<Vec<_>>(),
            "holds": described_contents(&plan.holds), "unknown": plan.unknown, "set_aside": done.set_aside, "has_signing_keys": done.has_signing_keys,
        });
        answer(json, &value, &lines.join("\n"))
    }
}

/// What the restore undoes, in lines; where that cannot be told, what stands afterwards.
fn told(plan: &Plan) -> Vec<String> {
    if plan.replaces && plan.unknown.is_none() {
        let mut lines = vec![newer(plan)];
        if !plan.undone.is_empty() {
            lines.push(
                "This ended since, and stands again after the restore; end it anew:".to_owned(),
            );
            lines.extend(plan.undone.iter().map(|record| format!("  {}", line(record))));
        }
        return lines;
    }
    let why = plan.unknown.as_deref().unwrap_or("no database was here");
    let Contents { companies, people, applications, installations, payment_links, .. } =
        &plan.holds;
    let Contents { connections, standing, .. } = &plan.holds;
    let mut lines = vec![
        format!(
            "The backup of {} holds: companies {companies}, people {people}, applications {applications}, stores \
             {installations}, payment links {payment_links}, connections {connections}.",
            moment(plan.manifest.created_at)
        ),
        format!(
            "What was revoked since cannot be told: {why}. Compare with your export of the audit trail, and end anew what \
             ended since."
        ),
    ];
    if *connections > 0 {
        lines.push("These connections stand:".to_owned());
    }
    lines.extend(standing.iter().take(SHOWN).map(
        |Standing { grant_id, client_name, site_url, company, .. }| {
            let site = site_url.as_deref().map(|url| format!(" {url}")).unwrap_or_default();
            format!("  {grant_id}  {client_name}{site} at {company:?}")
        },
    ));
    let more = usize::try_from(*connections).unwrap_or(usize::MAX).saturating_sub(SHOWN);
    if more > 0 {
        lines.push(format!("  and {more} more: see --json, or `grant list` afterwards"));
    }
    lines
}

/// Which records of the trail would be gone.
fn newer(plan: &Plan) -> String {
    match (plan.lost, plan.newer) {
        (1, Some((id, _))) => {
            format!("1 record of the audit trail is newer than the backup: {id}.")
        }
        (count, Some((first, last))) => {
            format!(
                "{count} records of the audit trail are newer than the backup: {first} to {last}."
            )
        }
        (_, None) => "No record of the audit trail is newer than the backup.".to_owned(),
    }
}

/// What the backup holds, as JSON.
fn described_contents(holds: &Contents) -> Value {
    let standing = holds.standing.iter().map(|standing| {
        json!({
            "grant_id": standing.grant_id, "client_id": standing.client_id, "client": standing.client_name,
            "site_url": standing.site_url, "company": standing.company, "approved_at": moment(standing.approved_at),
        })
    });
    json!({
        "companies": holds.companies, "people": holds.people, "applications": holds.applications,
        "installations": holds.installations, "payment_links": holds.payment_links,
        "connections": holds.connections, "standing": standing.collect::<Vec<_>>(),
    })
}
