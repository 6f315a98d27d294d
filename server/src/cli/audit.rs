//! `audit list`, `export` and `verify`.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use counterfoil_protocol::{UnixTime, encoding::hex};
use serde_json::{Value, json};

use super::operator::{self, Operator, moment};
use crate::{
    audit::{AuditRecord, Broken, Chain, Head},
    store::{Audit as _, AuditQuery, Sqlite},
    trail,
    vault::Vault,
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
    Verify {
        /// A record that was kept elsewhere, as an earlier `verify` answered it: the chain must still have it.
        #[arg(long, value_name = "ID:HASH", value_parser = remembered)]
        remembered: Option<(i64, [u8; 32])>,
    },
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
                    let exported = export(operator, &which.query(operator).await?, out).await;
                    exported.or_else(operator::unless_left)?;
                }
                Self::Verify { remembered } => return verify(operator, remembered).await,
            }
            Ok(ExitCode::SUCCESS)
        })?
    }
}

impl Which {
    async fn query(self, operator: &Operator) -> anyhow::Result<AuditQuery> {
        let company_id = match self.company {
            Some(name) => Some(operator.any_company(&name).await?.company.id),
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
    operator.show(&json!({ "records": records, "next_before": next }), &text)
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

async fn verify(
    operator: &Operator,
    remembered: Option<(i64, [u8; 32])>,
) -> anyhow::Result<ExitCode> {
    let chain = match walk(&operator.store).await? {
        Ok(chain) => chain,
        Err(broken) => return refuse(operator, Some(broken.record()), &broken),
    };
    let last = match chain.end() {
        Ok(last) => last,
        Err(broken) => return refuse(operator, Some(broken.record()), &broken),
    };
    let head = match trail::kept(&operator.config.data_dir, &operator.vault) {
        Ok(head) => head,
        Err(error) => return refuse(operator, None, &error),
    };
    let remembered = remembered.map(|(id, hash)| Head::of(id, &hash, operator.now));
    if let Some(head) = &head
        && let Err(error) = trail::compare(&operator.store, head).await
    {
        return refuse(operator, Some(head.id), &error);
    }
    if let Some(head) = &remembered
        && let Err(error) = trail::compare(&operator.store, head).await
    {
        return refuse(operator, Some(head.id), &error.of_remembered());
    }
    let (id, hash) = last.unwrap_or_default();
    let text = format!(
        "the trail is whole: {}, from {} to {id}; the last has the hash {}",
        counted(chain.seen()),
        chain.first(),
        hex(&hash)
    );
    let value = json!({
        "ok": true, "records": chain.seen(), "first": chain.first(), "last": id, "hash": hex(&hash),
        "head": head.as_ref().map(|head| head.id),
    });
    let said = match &head {
        Some(head) => {
            format!("the server wrote down record {} at {}", head.id, moment(head.at))
        }
        None => "the server has written down no last record yet, so a missing end would not show"
            .to_owned(),
    };
    operator.answer(&value, &format!("{text}\n{said}"))?;
    Ok(ExitCode::SUCCESS)
}

fn refuse(
    operator: &Operator,
    record: Option<i64>,
    broken: &dyn std::error::Error,
) -> anyhow::Result<ExitCode> {
    let value = json!({ "ok": false, "record": record, "message": broken.to_string() });
    operator.answer(&value, &format!("the trail is BROKEN: {broken}"))?;
    Ok(ExitCode::FAILURE)
}

/// Looks at the whole trail, and at its head as the server wrote it down. How many records, or what is wrong.
pub(super) async fn examine(
    store: &Sqlite,
    directory: &Path,
    vault: &Vault,
) -> anyhow::Result<Result<u64, String>> {
    let walked = walk(store).await?.and_then(|chain| chain.end().map(|_| chain.seen()));
    let seen = match walked {
        Ok(seen) => seen,
        Err(broken) => return Ok(Err(broken.to_string())),
    };
    let head = match trail::kept(directory, vault) {
        Ok(Some(head)) => trail::compare(store, &head).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    Ok(head.map(|()| seen).map_err(|error| error.to_string()))
}

async fn walk(store: &Sqlite) -> anyhow::Result<Result<Chain, Broken>> {
    let (mut chain, mut after) = (Chain::default(), i64::MIN);
    loop {
        let records = store.audit_after(&AuditQuery::default(), after, PAGE).await?;
        for record in &records {
            if let Err(broken) = chain.take(record) {
                return Ok(Err(broken));
            }
        }
        let Some(last) = records.last() else { return Ok(Ok(chain)) };
        after = last.id;
    }
}

/// A number of records, in words.
pub(super) fn counted(records: u64) -> String {
    if records == 1 { "1 record".to_owned() } else { format!("{records} records") }
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

/// A record's id and hash.
fn remembered(text: &str) -> Result<(i64, [u8; 32]), String> {
    let wrong = || "write ID:HASH, as verify answers `last` and `hash`".to_owned();
    let (id, digits) = text.split_once(':').ok_or_else(wrong)?;
    let id = id.parse::<i64>().ok().filter(|id| *id > 0).ok_or_else(wrong)?;
    let mut hash = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(wrong());
    }
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok((id, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_records() {
        assert_eq!([0, 1, 2].map(counted), ["0 records", "1 record", "2 records"]);
    }

    #[test]
    fn what_was_remembered() {
        let digits = "0f".repeat(32);
        assert_eq!(remembered(&format!("7:{digits}")), Ok((7, [15; 32])));
        for bad in ["", "7", "7:", &digits, &format!("0:{digits}"), &format!("7:{}é", &digits[2..])]
        {
            assert!(remembered(bad).is_err(), "{bad}");
        }
    }

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
