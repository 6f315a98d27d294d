//! What the last days came to: renewals, the token's age, who called.

use std::collections::BTreeMap;

use counterfoil_protocol::UnixTime;
use serde_json::Value;

use super::{Finding, ago};
use crate::history::{Kind, Record};

/// The time in which failed renewals count, in seconds, and how many are worth a word.
const LATELY: i64 = 24 * 3_600;
const MANY: usize = 5;

/// Judges the history of the last week, the oldest first.
pub(super) fn judge(records: &[Record], live: Option<&Value>, now: UnixTime) -> Vec<Finding> {
    let mut findings = vec![renewals(records, now)];
    findings.extend(live.and_then(|live| token(live, now)));
    findings.extend(callers(records, now));
    findings
}

fn renewals(records: &[Record], now: UnixTime) -> Finding {
    let lately = |kind: Kind| {
        let recent = move |record: &&Record| record.kind == kind && now.since(record.at) <= LATELY;
        records.iter().filter(recent)
    };
    let (renewed, failed) = (lately(Kind::Renewed).count(), lately(Kind::RenewalFailed).count());
    let says = format!("In the last 24 hours {renewed} renewals succeeded and {failed} failed.");
    let last = lately(Kind::RenewalFailed).next_back();
    let code = last.and_then(|record| record.code.as_deref()).unwrap_or("unknown");
    if failed < MANY {
        return Finding::ok("renewals", says);
    }
    let next_step = "Look at them: counterfoild events --since 24h --kind renewal_failed; docs/daemon.md explains the codes";
    let says = format!("{says} The last reason was {code}.");
    Finding::warning("renewals", says, next_step)
}

fn token(live: &Value, now: UnixTime) -> Option<Finding> {
    let time = |name: &str| live.pointer(name).and_then(Value::as_i64).map(UnixTime);
    let (issued_at, expires_at) = (time("/token/issued_at")?, time("/token/expires_at")?);
    let came = ago(issued_at, now);
    Some(if now < expires_at {
        let ends = ago(expires_at, now);
        Finding::ok("token", format!("The access token came {came} and ends {ends}."))
    } else {
        let says = format!("The access token ended {}, so calls fail.", ago(expires_at, now));
        Finding::problem(
            "token",
            says,
            "See the findings about the platform and the clock; when they are mended, renewal follows by itself",
        )
    })
}

fn callers(records: &[Record], now: UnixTime) -> Option<Finding> {
    let mut seen = BTreeMap::new();
    for record in records.iter().filter(|record| record.kind == Kind::Called) {
        let client = record.detail.get("client").and_then(Value::as_str).unwrap_or_default();
        if !client.starts_with("counterfoild/") {
            seen.insert(client, record.at);
        }
    }
    let told: Vec<_> =
        seen.iter().map(|(client, at)| format!("{client} ({})", ago(*at, now))).collect();
    (!told.is_empty()).then(|| {
        Finding::ok(
            "plugins",
            format!("These plugins called in the last week: {}.", told.join(", ")),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Level;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn record(kind: Kind, before: i64, detail: &Value) -> Record {
        let detail = detail.as_object().cloned().unwrap_or_default();
        let code = (kind == Kind::RenewalFailed).then(|| "server_unreachable".to_owned());
        Record { at: NOW + -before, kind, code, count: 1, summary: String::new(), detail }
    }

    #[test]
    fn failures_count_for_a_day() {
        for (before, failures, expected) in
            [(60, 4, Level::Ok), (60, 5, Level::Warning), (LATELY + 1, 50, Level::Ok)]
        {
            let records = vec![record(Kind::RenewalFailed, before, &Value::Null); failures];
            let findings = judge(&records, None, NOW);
            assert_eq!(findings[0].level, expected, "{failures} failures {before} s ago");
        }
    }

    #[test]
    fn tokens_are_told_by_their_age() {
        for (left, expected) in [(600, Level::Ok), (0, Level::Problem), (-60, Level::Problem)] {
            let live =
                json!({ "token": { "issued_at": NOW.0 - 3_000, "expires_at": NOW.0 + left } });
            assert_eq!(token(&live, NOW).expect("a finding").level, expected, "{left}");
        }
        assert_eq!(token(&json!({ "token": null }), NOW), None);
    }

    #[test]
    fn plugins_are_listed_and_our_own_commands_are_none() {
        let called =
            |client: &str, before| record(Kind::Called, before, &json!({ "client": client }));
        let records =
            [called("shop/1.0", 7_200), called("counterfoild/0.1.0", 60), called("shop/1.1", 120)];
        let findings = callers(&records, NOW).expect("a finding");
        assert_eq!(
            findings.says,
            "These plugins called in the last week: shop/1.0 (2 h ago), shop/1.1 (2 min ago)."
        );
        assert_eq!(callers(&records[1..2], NOW), None);
    }
}
