//! `wallet import`.

use std::{fs::File, io::Read as _, path::PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::operator::{self, Operator};
use crate::{
    partner::wallet::WalletFile,
    store::{Commerce as _, WalletImport},
};

/// The most bytes of a file.
const MAX_FILE: u64 = 64 * 1024 * 1024;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Takes over what the platform's ledger says of companies' balances and activity; the same file again changes
    /// nothing.
    Import {
        /// A JSON file, as docs/partner-api.md describes it.
        file: PathBuf,
    },
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let Self::Import { file } = self;
        let text = read(&file).with_context(|| format!("cannot take {}", file.display()))?;
        operator::wait(import(operator, &text))?
    }
}

fn read(path: &PathBuf) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    ensure!(u64::try_from(text.len())? <= MAX_FILE, "it has more than {MAX_FILE} bytes; split it");
    Ok(text)
}

async fn import(operator: &Operator, text: &str) -> anyhow::Result<()> {
    let file = WalletFile::parse(text)?;
    file.check_times(operator.now)?;
    let mut imports = Vec::new();
    for statement in file.wallets {
        let company = operator.company(&statement.company).await?;
        imports.push(WalletImport {
            company_id: company.id,
            as_of: statement.as_of,
            balances: statement.balances,
            activity: statement.activity,
        });
    }
    let imported = operator.store.import_wallets(imports, &operator.actor, operator.now).await?;
    operator.answer(
        &json!({
            "balances_set": imported.balances,
            "balances_left_alone": imported.left_alone,
            "entries_changed": imported.entries,
        }),
        &format!(
            "balances set: {}; left alone, because the same or newer ones are kept: {}; entries new or changed: {}",
            imported.balances, imported.left_alone, imported.entries
        ),
    )
}
