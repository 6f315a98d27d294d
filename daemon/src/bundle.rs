//! What support may read: fields that are named here, one by one. What is not named never passes.

mod allowed;

use counterfoil_protocol::UnixTime;
use serde_json::{Map, Value, json};

use self::allowed::{CONFIG, DETAIL, STATUS, pick};
use crate::{
    doctor::{Finding, Level},
    history::Record,
};

/// Everything that a bundle is made from. Most of it holds more than support may read.
pub(crate) struct Gathered {
    /// When.
    pub(crate) made_at: UnixTime,
    /// What the daemon tells its owner.
    pub(crate) status: Option<Value>,
    /// Why no daemon answers.
    pub(crate) silence: Option<String>,
    /// What the examination found.
    pub(crate) doctor: Vec<Finding>,
    /// What happened.
    pub(crate) history: Vec<Record>,
    /// The metrics' text.
    pub(crate) metrics: Option<String>,
    /// The text of the store's file.
    pub(crate) config: Option<String>,
}

/// Makes the bundle.
pub(crate) fn make(gathered: &Gathered) -> Value {
    json!({
        "what": "counterfoild support bundle: allow-listed fields only, no secret",
        "made_at": gathered.made_at,
        "versions": {
            "counterfoild": crate::VERSION,
            "kernel": first_line("/proc/sys/kernel/osrelease"),
            "machine": std::env::consts::ARCH,
            "system": system(),
        },
        "silence": gathered.silence,
        "status": gathered.status.as_ref().map(|status| pick(status, STATUS)),
        "doctor": gathered.doctor.iter().map(finding).collect::<Vec<_>>(),
        "config": gathered.config.as_deref().map(config),
        "history": gathered.history.iter().map(record).collect::<Vec<_>>(),
        "metrics": gathered.metrics.as_deref().map(metrics),
    })
}

fn first_line(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.chars().take(80).collect())
}

/// A finding. What is said about a file that cannot be used may quote it, proxy's password and all.
fn finding(finding: &Finding) -> Value {
    let quotes = ["config", "reload"].contains(&finding.check) && finding.level != Level::Ok;
    json!({
        "check": finding.check,
        "level": finding.level,
        "says": (!quotes).then_some(&finding.says),
        "next_step": finding.next_step,
    })
}

/// The system's name for itself (os-release(5)).
fn system() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').chars().take(80).collect())
}

/// The settings whose values are no secret; of others, that they are set.
fn config(text: &str) -> Value {
    let Ok(table) = toml::from_str::<toml::Table>(text) else {
        return json!({ "understood": false });
    };
    let table = serde_json::to_value(table).unwrap_or_default();
    let mut told = pick(&table, CONFIG);
    let mut others = Vec::new();
    name_others(&table, &told, "", &mut others);
    if let Value::Object(told) = &mut told {
        told.insert("understood".to_owned(), true.into());
        told.insert("other_settings".to_owned(), others.into());
    }
    told
}

/// Names what is set and was not picked. A name that nobody gave a setting could be anything, so it is counted only.
fn name_others(table: &Value, told: &Value, above: &str, others: &mut Vec<Value>) {
    for (name, value) in table.as_object().into_iter().flatten() {
        let path = format!("{above}{name}");
        match (value, told.get(name)) {
            (Value::Object(_), Some(inner)) => {
                name_others(value, inner, &format!("{path}."), others);
            }
            (_, Some(_)) => {}
            (_, None) if allowed::NAMES_ONLY.contains(&path.as_str()) => others.push(path.into()),
            (_, None) => others.push("(unknown)".into()),
        }
    }
}

fn record(record: &Record) -> Value {
    let detail = pick(&Value::Object(record.detail.clone()), DETAIL);
    let detail: Map<String, Value> = detail.as_object().cloned().unwrap_or_default();
    json!({
        "at": record.at,
        "kind": record.kind,
        "code": record.code.as_deref().filter(|code| is_word(code)),
        "count": record.count,
        "detail": detail,
    })
}

/// Lines of our own metrics alone.
fn metrics(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("counterfoild_")).collect()
}

fn is_word(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests;
