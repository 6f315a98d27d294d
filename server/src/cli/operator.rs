//! What operator commands are given: the data directory, and a way to answer.

use std::{
    future::Future,
    io::{self, ErrorKind::BrokenPipe, Write as _},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context as _, anyhow, ensure};
use counterfoil_protocol::UnixTime;
use serde_json::Value;

use crate::{
    audit::Actor,
    clock::{self, Entropy},
    config::Config,
    data::DataDir,
    mail::Mail,
    replay::ReplayMemory,
    store::{Accounts as _, Company, CompanyFacts, DATABASE, Operators as _, Sqlite},
    vault::Vault,
};

/// An operator at the data directory.
pub struct Operator {
    /// The settings.
    pub config: Config,
    /// The database.
    pub store: Sqlite,
    /// Where the signing keys are.
    pub keys: PathBuf,
    /// The source of randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Letters to people: the server sends what is written here.
    pub mail: Mail,
    /// The time of the command.
    pub now: UnixTime,
    /// What the at-rest key protects.
    pub vault: Vault,
    /// Who runs it, for the audit trail.
    pub actor: Actor,
    json: bool,
}

impl Operator {
    /// Opens the data directory, making it and its keys when this is the first command.
    pub fn found(config: Config, json: bool) -> anyhow::Result<Self> {
        Self::begin(config, json, true)
    }

    /// Opens a data directory that is there: a mistyped one is not taken for a server without anything.
    pub fn open(config: Config, json: bool) -> anyhow::Result<Self> {
        must_be_there(&config)?;
        Self::begin(config, json, true)
    }

    /// The same for commands about signing keys, which help when these are lost.
    pub fn of_keys(config: Config, json: bool) -> anyhow::Result<Self> {
        must_be_there(&config)?;
        Self::begin(config, json, false)
    }

    fn begin(config: Config, json: bool, needs_keys: bool) -> anyhow::Result<Self> {
        let (clock, entropy) = clock::system();
        let data = DataDir::open(&config.data_dir)?;
        let at_rest = data.at_rest_key(credentials().as_deref(), &*entropy)?;
        if needs_keys || !data.had_database() {
            data.signing_keys(&*entropy, clock.now())?;
        }
        if !data.had_database() {
            // A server that finds the database made, and no replay memory, must think that it was lost.
            drop(ReplayMemory::open(data.path(), false, clock.now())?);
        }
        let store = data.store()?;
        let now = clock.now();
        let mail = Mail::open(&config, (clock, Arc::clone(&entropy)))?;
        Ok(Self {
            config,
            store,
            keys: data.keys_directory(),
            vault: Vault::new(*at_rest),
            entropy,
            mail,
            now,
            actor: actor(),
            json,
        })
    }

    /// The open company with a name or id.
    pub async fn company(&self, name: &str) -> anyhow::Result<Company> {
        if let Some(company) = self.store.company(name).await? {
            return Ok(company);
        }
        let closed = self.store.company_facts(name).await?.and_then(|facts| facts.closed_at);
        Err(closed.map_or_else(
            || anyhow!("there is no company {name:?}; add it with: counterfoil-server company add {name:?}"),
            |at| {
                let at = moment(at);
                anyhow!("company {name:?} is closed since {at}; open it with: counterfoil-server company reopen {name:?}")
            },
        ))
    }

    /// The company with a name or id, closed or not.
    pub async fn any_company(&self, name: &str) -> anyhow::Result<CompanyFacts> {
        let found = self.store.company_facts(name).await?;
        found.ok_or_else(|| anyhow!("there is no company {name:?}; see: company list"))
    }

    /// The id of the company to which a list is narrowed, where one is named.
    pub async fn narrowed_to(&self, name: Option<&str>) -> anyhow::Result<Option<String>> {
        match name {
            Some(name) => Ok(Some(self.any_company(name).await?.company.id)),
            None => Ok(None),
        }
    }

    /// Answers on stdout: `value` for programs, or `text` for people.
    pub fn answer(&self, value: &Value, text: &str) -> anyhow::Result<()> {
        answer(self.json, value, text)
    }

    /// Answers so with what was only read.
    pub fn show(&self, value: &Value, text: &str) -> anyhow::Result<()> {
        show(self.json, value, text)
    }
}

fn must_be_there(config: &Config) -> anyhow::Result<()> {
    let place = config.data_dir.display();
    ensure!(
        config.data_dir.join(DATABASE).exists(),
        "there is no server's data in {place}: name its directory with --data-dir or in the settings, or begin with: counterfoil-server init"
    );
    Ok(())
}

/// Who runs the command, as the environment has it: before `sudo`, if that was used. Who may run commands on the data may
/// say anything here; it is for those who work together.
pub fn actor() -> Actor {
    let named = |variable| std::env::var(variable).ok().filter(|name: &String| plain(name));
    let name = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(named);
    let uid = || format!("uid-{}", rustix::process::getuid().as_raw());
    Actor::Operator(name.unwrap_or_else(uid))
}

fn plain(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic())
}

/// Waits for the store.
pub fn wait<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// The directory of the credentials that systemd hands over.
pub fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// Answers on stdout: `value` for programs, or `text` for people.
pub fn answer(json: bool, value: &Value, text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = if json { writeln!(out, "{value:#}") } else { writeln!(out, "{text}") };
    written.context("cannot write the answer")
}

/// Answers so with what was only read: whoever has heard enough, as `head` has, may leave before the end.
pub fn show(json: bool, value: &Value, text: &str) -> anyhow::Result<()> {
    answer(json, value, text).or_else(unless_left)
}

/// Nothing, when the reader of stdout has left; else the error.
pub fn unless_left(error: anyhow::Error) -> anyhow::Result<()> {
    let left = error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == BrokenPipe);
    if left { Ok(()) } else { Err(error) }
}

/// How many there are, in words: "1 person", "2 people".
pub fn counted(count: impl Into<u64>, one: &str, more: &str) -> String {
    match count.into() {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    }
}

/// A time as people read it.
pub fn moment(time: UnixTime) -> String {
    jiff::Timestamp::from_second(time.0).map_or_else(|_| time.0.to_string(), |t| t.to_string())
}

/// A name that people will read: not empty, not endless, without control characters.
pub fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err("a name has 1 to 200 bytes and no control characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_left_is_no_trouble() {
        let failed = |kind| Err::<(), _>(io::Error::from(kind)).context("cannot write the answer");
        assert!(failed(BrokenPipe).or_else(unless_left).is_ok());
        assert!(failed(io::ErrorKind::StorageFull).or_else(unless_left).is_err());
        assert!(unless_left(anyhow!("something else")).is_err());
    }

    #[test]
    fn how_many() {
        for (count, words) in [(0_u32, "0 people"), (1, "1 person"), (2, "2 people")] {
            assert_eq!(counted(count, "person", "people"), words);
        }
    }
}
