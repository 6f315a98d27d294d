//! `key list`, `rotate` and `retire`.

use std::io;

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::{
    confirm::Confirm,
    operator::{self, Operator, moment},
};
use crate::{
    data::DataError,
    keys::{self, KeyError, KeyRecord, Removal, Rotated, State, Takeover},
    oauth::profile::Algorithm,
    store::{Audit as _, Deed, Operators as _},
};

/// The longest that a new key can be made to wait, in seconds.
const LONGEST_NOTICE: i64 = 30 * 24 * 3600;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists the keys: which sign, which will, which did.
    List,
    /// Makes a new signing key, published at once and used later, when everybody has it. A running server notices.
    Rotate(Rotate),
    /// Takes a key away at once: whatever it signed is good no more.
    Retire {
        /// Its name, as `key list` shows it.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(clap::Args)]
pub struct Rotate {
    /// The algorithm whose key is rotated; without it, every one.
    #[arg(long, value_parser = algorithm)]
    algorithm: Option<Algorithm>,
    /// Seconds from its publication to its first use. Resource servers that keep our keys for longer need more.
    #[arg(long, value_name = "SECONDS", default_value_t = keys::NOTICE,
        value_parser = clap::value_parser!(u32).range(i64::from(keys::SET_MAX_AGE)..=LONGEST_NOTICE))]
    after: u32,
    /// Uses it at once, for when the one before was stolen. One that waits is withdrawn.
    #[arg(long, conflicts_with = "after")]
    now: bool,
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(async {
            match self {
                Self::List => list(operator),
                Self::Rotate(rotate) => rotate.run(operator).await,
                Self::Retire { kid, confirm } => retire(operator, &kid, &confirm).await,
            }
        })?
    }
}

/// The keys of the list; says what to do where there is none.
fn known(operator: &Operator) -> anyhow::Result<Vec<KeyRecord>> {
    match keys::list(&operator.keys) {
        Err(KeyError::File { path, error }) if error.kind() == io::ErrorKind::NotFound => {
            Err(DataError::SigningKeysLost(path).into())
        }
        listed => Ok(listed?),
    }
}

fn list(operator: &Operator) -> anyhow::Result<()> {
    let mut records = known(operator)?;
    records.sort_by_key(|record| (record.alg.clone(), record.signs_from));
    let lines: Vec<_> = records.iter().map(|record| line(record, operator)).collect();
    let values: Vec<_> = records.iter().map(|record| described(record, operator)).collect();
    operator.show(&json!({ "keys": values }), &lines.join("\n"))
}

impl Rotate {
    async fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let algorithms = self.algorithm.map_or(Algorithm::BOTH.to_vec(), |one| vec![one]);
        let takeover = if self.now { Takeover::Now } else { Takeover::After(self.after) };
        let (entropy, now) = (&*operator.entropy, operator.now);
        let (made, withdrawn) = match keys::rotate(
            &operator.keys,
            &algorithms,
            takeover,
            entropy,
            now,
        )? {
            Rotated::Done { made, withdrawn } => (made, withdrawn),
            Rotated::Waits(record) => bail!(
                "the {} key {} waits already and signs from {} on; nothing was changed. To have a new one now: key rotate --now",
                record.alg,
                record.kid,
                moment(record.signs_from)
            ),
        };
        for record in &made {
            let from = format!("{}, signs from {}", record.alg, moment(record.signs_from));
            note(operator, "signing_key_made", record, from).await?;
        }
        for record in &withdrawn {
            note(operator, "signing_key_withdrawn", record, record.alg.clone()).await?;
        }
        let mut lines: Vec<_> = made.iter().map(|record| line(record, operator)).collect();
        lines.extend(withdrawn.iter().map(|record| {
            format!("{} {}  withdrawn before it signed anything", record.alg, record.kid)
        }));
        lines.push(format!("The keys before stay published for {RETIRED_DAYS} days."));
        if self.now {
            lines.push(format!(
                "Resource servers that keep our keys may refuse new tokens for {} seconds. What the keys before signed is \
                 still good: see `key list`, and end it with `key retire KID`.",
                keys::SET_MAX_AGE
            ));
        }
        let values: Vec<_> = made.iter().map(|record| described(record, operator)).collect();
        let gone: Vec<_> = withdrawn.iter().map(|record| &record.kid).collect();
        operator.answer(&json!({ "keys": values, "withdrawn": gone }), &lines.join("\n"))
    }
}

/// Days that a retired key stays published.
const RETIRED_DAYS: i64 = keys::RETIRED_LIFETIME / (24 * 3600);

async fn retire(operator: &Operator, kid: &str, confirm: &Confirm) -> anyhow::Result<()> {
    let records = known(operator)?;
    let record = records.iter().find(|record| record.kid == kid);
    let Some(record) = record else { bail!("there is no key {kid:?}; see: key list") };
    ensure!(record.state(operator.now) != State::Signing, signs(record));
    let good_until = record.retired_at.map(|at| at + operator.config.lifetimes.access_token);
    let tokens = good_until.filter(|end| *end > operator.now);
    let answers = operator.store.answers_signed_by(kid).await?;
    if record.state(operator.now) == State::Retired {
        ask(confirm, tokens.map(moment), answers)?;
    }
    let gone = match keys::remove(&operator.keys, kid, operator.now)? {
        Removal::Done(record) => record,
        Removal::Signs(record) => bail!(signs(&record)),
        Removal::Unknown => bail!("the key {kid} was retired meanwhile"),
    };
    let ended = gone.state(operator.now) == State::Retired;
    let event = if ended { "signing_key_retired" } else { "signing_key_withdrawn" };
    note(operator, event, &gone, gone.alg.clone()).await?;
    let text = if ended {
        "what it signed is good no more"
    } else {
        "it signed nothing; the key before it goes on signing"
    };
    operator.answer(
        &json!({
            "kid": kid, "alg": gone.alg, "retired": true, "tokens_until": tokens.map(moment),
            "answers_lost": answers,
        }),
        &format!("{} {kid} is gone: {text}", gone.alg),
    )
}

/// Says what stops with a key that signed, and asks, when anything does.
fn ask(confirm: &Confirm, tokens: Option<String>, answers: u32) -> anyhow::Result<()> {
    let mut stops = Vec::new();
    if let Some(until) = tokens {
        stops.push(format!(
            "access tokens that it signed are good until {until}, and end at once: clients renew theirs at the next call"
        ));
    }
    if answers > 0 {
        stops.push(format!(
            "the newest answer of {answers} connections was signed by it: who lost that answer cannot have it again, and \
             recovers by its key or connects anew"
        ));
    }
    if stops.is_empty() { Ok(()) } else { confirm.ask(&stops.join("; ")) }
}

fn signs(record: &KeyRecord) -> String {
    let next = record.retired_at.map_or_else(
        || "make another one first: key rotate".to_owned(),
        |at| format!("the next one signs from {} on", moment(at)),
    );
    format!(
        "{} signs {} tokens now; {next}. If it was stolen: key rotate --now",
        record.kid, record.alg
    )
}

async fn note(
    operator: &Operator,
    event: &'static str,
    record: &KeyRecord,
    detail: String,
) -> anyhow::Result<()> {
    let deed = Deed {
        at: operator.now,
        event,
        actor: operator.actor.clone(),
        subject: Some(record.kid.clone()),
        detail,
    };
    Ok(operator.store.note_deed(deed).await?)
}

fn line(record: &KeyRecord, operator: &Operator) -> String {
    let KeyRecord { kid, alg, signs_from, retired_at, .. } = record;
    let until = retired_at.map(|at| format!(" until {}", moment(at))).unwrap_or_default();
    let published = record.published_until().map(moment).unwrap_or_default();
    let said = match record.state(operator.now) {
        State::Waiting => format!("is published, signs from {} on{until}", moment(*signs_from)),
        State::Signing => format!("signs since {}{until}", moment(*signs_from)),
        State::Retired => format!("signed{until}, is published until {published}"),
    };
    format!("{alg} {kid}  {said}")
}

fn described(record: &KeyRecord, operator: &Operator) -> Value {
    let state = match record.state(operator.now) {
        State::Waiting => "waiting",
        State::Signing => "signing",
        State::Retired => "retired",
    };
    json!({
        "kid": record.kid, "alg": record.alg, "state": state, "created_at": moment(record.created_at),
        "signs_from": moment(record.signs_from), "retired_at": record.retired_at.map(moment),
        "published_until": record.published_until().map(moment),
    })
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::BOTH
        .into_iter()
        .find(|algorithm| algorithm.as_str() == text)
        .ok_or_else(|| "ES256 or RS256".to_owned())
}
