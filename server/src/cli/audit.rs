//! `audit list`, `export` and `verify`.

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

use anyhow::Context as _;
use counterfoil_protocol::{UnixTime, encoding::hex};
use serde_json::{Value, json};

use super::operator::{self, Operator, moment};
use crate::{
    audit::{AuditRecord, Broken, Chain},
    store::{Accounts as _, Audit as _, AuditQuery},
};

/// Records that are read at a time.
const PAGE: u32 = 1000;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Shows the newest records of the trail, newest first.
    List {
        #[command(flatten)]
        which: Which,
        /// How many at most.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Those before this record, as the answer before has it in `next_before`.
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
    },
    /// Writes the trail to stdout, oldest first: one JSON object a line.
    Export {
        #[command(flatten)]
        which: Which,
    },
    /// Walks the whole chain and says whether anything was changed, taken out or put in.
    Verify,
}

#[derive(clap::Args)]
pub struct Which {
    /// About this client.
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// About this company, by name or id.
    #[arg(long)]
    company: Option<String>,
    /// From this time on: 2026-01-31, or 2026-01-31T10:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<UnixTime>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<UnixTime>,
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<ExitCode> {
        operator::wait(async {
            match self {
                Self::List { which, limit, before } => {
                    list(operator, &which.query(operator).await?, before, limit).await?;
                }
                Self::Export { which } => {
                    let out = BufWriter::new(io::stdout().lock());
                    export(operator, &which.query(operator).await?, out).await?;
                }
                Self::Verify => return verify(operator).await,
            }
            Ok(ExitCode::SUCCESS)
        })?
    }
}

impl Which {
    async fn query(self, operator: &Operator) -> anyhow::Result<AuditQuery> {
        let company_id = match self.company {
            // One that was closed is known by its id alone.
            Some(name) => Some(operator.store.company(&name).await?.map_or(name, |c| c.id)),
            None => None,
        };
        Ok(AuditQuery { client_id: self.client, company_id, since: self.since, until: self.until })
    }
}

async fn list(
    operator: &Operator,
    query: &AuditQuery,
    before: Option<i64>,
    limit: u32,
) -> anyhow::Result<()> {
    let records = operator.store.newest_audit(query, before, limit).await?;
    let full = records.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next = records.last().filter(|last| full && last.id > 1).map(|last| last.id);
    let lines: Vec<_> = records.iter().map(line).collect();
    let text = if lines.is_empty() { "nothing was noted".to_owned() } else { lines.join("\n") };
    let records: Vec<_> = records.iter().map(described).collect();
    operator.answer(&json!({ "records": records, "next_before": next }), &text)
}

async fn export(
    operator: &Operator,
    query: &AuditQuery,
    mut out: impl Write,
) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let records = operator.store.audit_after(query, after, PAGE).await?;
        for record in &records {
            writeln!(out, "{}", described(record)).context("cannot write the trail")?;
        }
        let Some(last) = records.last() else { break };
        after = last.id;
    }
    out.flush().context("cannot write the trail")
}

async fn verify(operator: &Operator) -> anyhow::Result<ExitCode> {
    let chain = match walk(operator).await? {
        Ok(chain) => chain,
        Err(broken) => return refuse(operator, &broken),
    };
    let last = match chain.end() {
        Ok(last) => last,
        Err(broken) => return refuse(operator, &broken),
    };
    let (id, hash) = last.unwrap_or_default();
    let text = format!(
        "the trail is whole: {} records, from {} to {id}; the last has the hash {}",
        chain.seen(),
        chain.first(),
        hex(&hash)
    );
    let value = json!({
        "ok": true, "records": chain.seen(), "first": chain.first(), "last": id, "hash": hex(&hash),
    });
    operator.answer(&value, &text)?;
    Ok(ExitCode::SUCCESS)
}

fn refuse(operator: &Operator, broken: &Broken) -> anyhow::Result<ExitCode> {
    let value = json!({ "ok": false, "record": broken.record(), "message": broken.to_string() });
    operator.answer(&value, &format!("the trail is BROKEN: {broken}"))?;
    Ok(ExitCode::FAILURE)
}

async fn walk(operator: &Operator) -> anyhow::Result<Result<Chain, Broken>> {
    let (mut chain, mut after) = (Chain::default(), i64::MIN);
    loop {
        let records = operator.store.audit_after(&AuditQuery::default(), after, PAGE).await?;
        for record in &records {
            if let Err(broken) = chain.take(record) {
                return Ok(Err(broken));
            }
        }
        let Some(last) = records.last() else { return Ok(Ok(chain)) };
        after = last.id;
    }
}

/// A record as one line for people.
pub fn line(record: &AuditRecord) -> String {
    let AuditRecord { id, at, event, actor, client_id, company_id, subject, detail, .. } = record;
    let about = [client_id, company_id, subject].into_iter().flatten().map(String::as_str);
    let words: Vec<_> = about.chain([detail.as_str()]).filter(|word| !word.is_empty()).collect();
    format!("{id} {} {event} by {actor} {}", moment(*at), words.join(" ")).trim_end().to_owned()
}

/// A record as JSON, with all that its hash is made of.
pub fn described(record: &AuditRecord) -> Value {
    json!({
        "id": record.id, "at": moment(record.at), "at_unix": record.at.0, "event": record.event, "actor": record.actor,
        "client_id": record.client_id, "company_id": record.company_id, "subject": record.subject,
        "detail": record.detail, "previous": hex(&record.previous), "hash": hex(&record.hash),
    })
}

/// A day, which begins at midnight UTC, or a moment.
fn time(text: &str) -> Result<UnixTime, String> {
    let moment = text.parse::<jiff::Timestamp>().or_else(|_| {
        let day = text.parse::<jiff::civil::Date>()?;
        day.to_zoned(jiff::tz::TimeZone::UTC).map(|midnight| midnight.timestamp())
    });
    moment.map(|moment| UnixTime(moment.as_second())).map_err(|_| {
        "write a day like 2026-01-31, or a moment like 2026-01-31T10:00:00Z".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time("2027-01-15"), Ok(UnixTime(1_799_971_200)));
        assert_eq!(time("2027-01-15T08:00:00Z"), Ok(UnixTime(1_800_000_000)));
        assert_eq!(time("2027-01-15T09:00:00+01:00"), Ok(UnixTime(1_800_000_000)));
        for bad in ["", "yesterday", "2027-13-01", "2027-01-15 8", "1800000000"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
