//! `counterfoild support-bundle`.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

use super::{
    Where,
    admin::{Admin, block_on},
    doctor::patient,
    say,
};
use crate::{
    bundle::{self, Gathered},
    clock::{Clock as _, System},
    doctor,
    history::{self, Query},
    moment::Moments,
};

/// Records of the history that go into a bundle.
const RECORDS: usize = 1_000;

#[derive(Args, Debug)]
pub(super) struct SupportBundle {
    #[command(flatten)]
    place: Where,
    /// Where to write it; counterfoild-support-DATE.json here, where nothing is said
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl SupportBundle {
    pub(super) fn main(self) -> Result<ExitCode> {
        let now = System.now();
        let file = self.file.clone().unwrap_or_else(|| {
            let day: String = Moments::new(true).exact(now).chars().take(10).collect();
            format!("counterfoild-support-{day}.json").into()
        });
        block_on(async {
            let patient = patient(&self.place).await?;
            let findings = doctor::examine(&patient, &System).await;
            let state_dir = patient.state_dir();
            let query = Query { limit: RECORDS, ..Query::default() };
            let admin = Admin::briefly(&self.place.find()?)?;
            let gathered = Gathered {
                made_at: now,
                history: history::read(&state_dir.join(history::FILE), &query).unwrap_or_default(),
                metrics: admin.text("/v1/admin/metrics").await.ok(),
                config: std::fs::read_to_string(patient.config_file()).ok(),
                status: patient.live.as_ref().ok().cloned(),
                silence: patient.live.err().map(|(why, _)| why),
                doctor: findings,
            };
            write(&file, &bundle::make(&gathered))?;
            let place = file.display();
            say(&format!(
                "Written to {place}, readable by you alone. It holds no secret and may be mailed to support; look into it first if you like."
            ));
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Writes a file that was not there before: nothing is overwritten, no link is followed.
fn write(path: &Path, bundle: &Value) -> Result<()> {
    let open = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let place = path.display();
    let mut file = open.with_context(|| format!("cannot make {place}; name another file"))?;
    let text = serde_json::to_string_pretty(&json!(bundle))?;
    let written = writeln!(file, "{text}").and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a bundle would be mailed as if it were whole.
        let _ = std::fs::remove_file(path);
    }
    written.with_context(|| format!("cannot write {place}; nothing is left of it"))
}
