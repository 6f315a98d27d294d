//! Wallets: what the platform's own ledger says of a company's balances and of what moved them. The server shows it and
//! changes nothing of it; it comes as a file.

use std::{collections::BTreeSet, fmt};

use counterfoil_protocol::UnixTime;
use serde::{Deserialize, Deserializer, Serialize};

use super::{amount::Signed, link::rfc3339};

/// The most companies of one file.
const MAX_WALLETS: usize = 10_000;

/// The most balances of one wallet.
const MAX_BALANCES: usize = 500;

/// The most entries of one file.
const MAX_ENTRIES: usize = 200_000;

/// How far a statement may lie ahead of the clock, in seconds: clocks differ a little.
const MAX_AHEAD: i64 = 5 * 60;

/// The longest of each text.
const MAX_TEXT: usize = 200;

/// A file of wallets.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletFile {
    /// One a company.
    pub wallets: Vec<WalletStatement>,
}

/// What the ledger says of one company.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletStatement {
    /// Its id or name.
    pub company: String,
    /// The moment of which the balances are.
    #[serde(deserialize_with = "moment")]
    pub as_of: UnixTime,
    /// All of them: what is not named is not there any more.
    pub balances: Vec<Balance>,
    /// Entries that are new or changed.
    #[serde(default)]
    pub activity: Vec<Entry>,
}

/// What a company has of one asset.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// The asset, with its chain: `ETH.USDC`.
    pub asset: String,
    /// What can be paid out.
    pub available: Signed,
    /// What is on its way.
    pub pending: Signed,
}

/// Something that moved a wallet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The ledger's name for it: the same entry again takes the place of the one before.
    pub id: String,
    /// When.
    #[serde(deserialize_with = "moment", serialize_with = "written")]
    pub at: UnixTime,
    /// What it was.
    pub kind: EntryKind,
    /// The asset.
    pub asset: String,
    /// What came, or with a minus what went.
    pub amount: Signed,
    /// How far it got.
    pub status: EntryStatus,
    /// What it is about: a payment link's uid, a transaction's hash.
    #[serde(default)]
    pub reference: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
}

/// What moved a wallet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A payer paid.
    Payment,
    /// What was paid in became another asset, or was passed on.
    Settlement,
    /// The company took it out.
    Payout,
    /// It went back to a payer.
    Refund,
    /// The platform's.
    Fee,
    /// A correction.
    Adjustment,
}

/// How far an entry got.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryStatus {
    /// It may still fail.
    Pending,
    /// It is done.
    Completed,
    /// It did not happen.
    Failed,
}

/// A company's balances as they are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wallet {
    /// The moment of which they are.
    pub as_of: UnixTime,
    /// The balances.
    pub balances: Vec<Balance>,
}

/// Why a file of wallets is not taken. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum WalletFault {
    /// It is not JSON of this form.
    #[error("{0}")]
    Form(#[from] serde_json::Error),
    /// There is too much of something, or a value that cannot be.
    #[error("{company}: {what}")]
    Value {
        /// In whose statement.
        company: String,
        /// What is wrong.
        what: String,
    },
}

impl WalletFile {
    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, WalletFault> {
        let file: Self = serde_json::from_str(text)?;
        let fault = |company: &str, what: String| {
            Err(WalletFault::Value { company: company.to_owned(), what })
        };
        let entries: usize = file.wallets.iter().map(|wallet| wallet.activity.len()).sum();
        if file.wallets.len() > MAX_WALLETS || entries > MAX_ENTRIES {
            return fault(
                "the file",
                format!(
                    "at most {MAX_WALLETS} wallets with {MAX_ENTRIES} entries in all go into one"
                ),
            );
        }
        for wallet in &file.wallets {
            if let Err(what) = wallet.check() {
                return fault(&wallet.company, what);
            }
        }
        Ok(file)
    }

    /// Refuses a statement of a time that is not yet: what is said later would count as older until then.
    pub fn check_times(&self, now: UnixTime) -> Result<(), WalletFault> {
        let ahead = |wallet: &WalletStatement| wallet.as_of.0 > now.0.saturating_add(MAX_AHEAD);
        let Some((row, wallet)) = self.wallets.iter().enumerate().find(|(_, it)| ahead(it)) else {
            return Ok(());
        };
        Err(WalletFault::Value {
            company: wallet.company.clone(),
            what: format!(
                "wallets[{row}].as_of, {}, is more than 5 minutes ahead of the clock, {}",
                rfc3339(wallet.as_of),
                rfc3339(now)
            ),
        })
    }
}

impl WalletStatement {
    fn check(&self) -> Result<(), String> {
        if self.balances.len() > MAX_BALANCES {
            return Err(format!("there are more than {MAX_BALANCES} balances"));
        }
        let named: BTreeSet<_> = self.balances.iter().map(|balance| &balance.asset).collect();
        if named.len() != self.balances.len() {
            return Err("an asset has two balances".to_owned());
        }
        let ids: BTreeSet<_> = self.activity.iter().map(|entry| &entry.id).collect();
        if ids.len() != self.activity.len() {
            return Err("two entries have the same id".to_owned());
        }
        let balances = self.balances.iter().map(|balance| ("asset", &balance.asset));
        let entries = self.activity.iter().flat_map(|entry| {
            let texts = [entry.reference.as_ref(), entry.description.as_ref()];
            let texts = texts.into_iter().flatten().map(|text| ("reference or description", text));
            [("asset", &entry.asset), ("id", &entry.id)].into_iter().chain(texts)
        });
        for (name, text) in balances.chain(entries) {
            if !is_plain(text) {
                return Err(format!(
                    "{name} {text:?} must have 1 to {MAX_TEXT} bytes and no control characters"
                ));
            }
        }
        Ok(())
    }
}

fn is_plain(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
    struct Visitor;
    impl serde::de::Visitor<'_> for Visitor {
        type Value = UnixTime;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time like 2027-01-15T08:00:00Z")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UnixTime, E> {
            let time: Result<jiff::Timestamp, _> = text.parse();
            time.map(|time| UnixTime(time.as_second())).map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Visitor)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn written<S: serde::Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"wallets":[{"company":"Nordwind","as_of":"2027-01-15T08:00:00Z",
        "balances":[{"asset":"BTC.BTC","available":"0.15","pending":"0"}],
        "activity":[{"id":"tx-1","at":"2027-01-15T07:00:00+01:00","kind":"payment","asset":"BTC.BTC",
        "amount":"-0.01","status":"pending","reference":"pl_1"}]}]}"#;

    #[test]
    fn files() {
        let file = WalletFile::parse(FILE).expect("a file");
        let wallet = &file.wallets[0];
        assert_eq!(wallet.as_of, UnixTime(1_800_000_000));
        assert_eq!(wallet.activity[0].at, UnixTime(1_800_000_000 - 2 * 3600));
        for (from, to) in [
            ("\"0.15\"", "0.15"),
            ("\"0.15\"", "\"-0\""),
            ("\"payment\"", "\"gift\""),
            ("\"pending\",\"reference\"", "\"lost\",\"reference\""),
            ("\"tx-1\"", "\"\""),
            ("2027-01-15T08:00:00Z", "yesterday"),
            ("\"reference\"", "\"referenz\""),
            ("\"BTC.BTC\",\"available\"", "\"B\\nTC\",\"available\""),
        ] {
            let bad = FILE.replacen(from, to, 1);
            assert_ne!(bad, FILE, "{from}");
            assert!(WalletFile::parse(&bad).is_err(), "{from} → {to}");
        }
        let again = FILE.replace(
            "\"pending\":\"0\"}",
            "\"pending\":\"0\"},{\"asset\":\"BTC.BTC\",\"available\":\"1\",\"pending\":\"0\"}",
        );
        assert!(matches!(WalletFile::parse(&again), Err(WalletFault::Value { .. })));
    }
    #[test]
    fn no_statement_is_of_a_time_to_come() {
        let mut file = WalletFile::parse(FILE).expect("a file");
        let mut other = file.wallets[0].clone();
        other.company = "Harbour".to_owned();
        file.wallets.push(other);
        let now = UnixTime(1_800_000_000);
        for as_of in [0, now.0 - 1, now.0, now.0 + MAX_AHEAD] {
            file.wallets[1].as_of = UnixTime(as_of);
            assert!(file.check_times(now).is_ok(), "{as_of}");
        }
        file.wallets[1].as_of = UnixTime(now.0 + MAX_AHEAD + 1);
        assert_eq!(
            file.check_times(now).expect_err("refused").to_string(),
            "Harbour: wallets[1].as_of, 2027-01-15T08:05:01Z, is more than 5 minutes ahead of the clock, 2027-01-15T08:00:00Z"
        );
    }
}
