//! The running daemon: whether there is one, and what it says of itself.

use counterfoil_protocol::UnixTime;
use serde_json::Value;

use super::{Finding, ago};

/// Descriptors below which many plugins at once run out of them.
const FEW_FILES: u64 = 4_096;

/// Judges what the daemon tells its owner, or that none answers.
pub(super) fn judge(live: &Result<Value, (String, String)>, now: UnixTime) -> Vec<Finding> {
    let live = match live {
        Ok(live) => live,
        Err((why, next_step)) => return vec![Finding::problem("daemon", why, next_step)],
    };
    let text = |path: &str| live.pointer(path).and_then(Value::as_str);
    let number = |path: &str| live.pointer(path).and_then(Value::as_i64);
    let mut findings = vec![version(text("/version").unwrap_or("?"))];
    findings.push(connection(live));
    if let Some(error) = text("/config/error") {
        findings.push(Finding::problem(
            "reload",
            format!("The store's file was changed, and the daemon goes on by what it said before: {error}."),
            "Correct the file, then run: counterfoild reload",
        ));
    }
    let waiting = words(live, "/config/needs_restart");
    if !waiting.is_empty() {
        findings.push(Finding::warning(
            "restart",
            format!("Changed settings wait for a restart: {waiting}."),
            "Run: systemctl restart counterfoild",
        ));
    }
    for sign in live.pointer("/safe_mode/evidence").and_then(Value::as_array).into_iter().flatten()
    {
        let says = sign.get("message").and_then(Value::as_str).unwrap_or("A sign of a copy.");
        findings.push(Finding::problem(
            "safe_mode",
            says,
            "Run: counterfoild status (it lists the ways on)",
        ));
    }
    if number("/recoveries/count").is_some_and(|count| count > 0) {
        findings.push(recoveries(number("/recoveries/count"), number("/recoveries/last_at"), now));
    }
    if number("/daemon/uid") == Some(0) {
        findings.push(Finding::warning(
            "user",
            "The daemon runs as root: a defect in it would be one of the whole machine.",
            "Give it a user of its own: see \"Under systemd\" in docs/daemon.md",
        ));
    }
    let files = live.pointer("/daemon/open_files_limit").and_then(Value::as_u64);
    if let Some(files) = files.filter(|files| *files < FEW_FILES) {
        findings.push(Finding::warning(
            "limits",
            format!("The daemon may open {files} files at once; many plugins calling together need more."),
            "Set LimitNOFILE=65536 in the unit (systemctl edit counterfoild), then run: systemctl restart counterfoild",
        ));
    }
    if let Some(dropped) = number("/daemon/history_dropped").filter(|dropped| *dropped > 0) {
        findings.push(Finding::warning(
            "history",
            format!("{dropped} records of the history were not kept: the disk did not take them, or they came too fast."),
            "See \"disk\" below; the connection is not harmed",
        ));
    }
    findings
}

fn version(running: &str) -> Finding {
    if running == crate::VERSION {
        return Finding::ok("daemon", format!("counterfoild {running} runs and answers."));
    }
    Finding::warning(
        "daemon",
        format!("counterfoild {running} runs, while this program is {}.", crate::VERSION),
        "Run: systemctl restart counterfoild",
    )
}

fn connection(live: &Value) -> Finding {
    let text = |path: &str| live.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (summary, next_step) = (text("/summary"), text("/next_step"));
    match text("/condition") {
        "working" => Finding::ok("connection", summary),
        "impaired" | "not_connected" => Finding::warning("connection", summary, next_step),
        _ => Finding::problem("connection", summary, next_step),
    }
}

fn recoveries(count: Option<i64>, last_at: Option<i64>, now: UnixTime) -> Finding {
    const RECENT: i64 = 7 * 24 * 3_600;
    let (count, last_at) = (count.unwrap_or_default(), UnixTime(last_at.unwrap_or_default()));
    let says = format!(
        "The key had to bring the connection back {count} times, last {}.",
        ago(last_at, now)
    );
    if now.since(last_at) > RECENT {
        return Finding::ok("recoveries", says);
    }
    Finding::warning(
        "recoveries",
        says,
        "Look for a copy of this store that runs with the same state (staging, a cloned machine, a restored backup) and stop it",
    )
}

fn words(live: &Value, path: &str) -> String {
    let words = live.pointer(path).and_then(Value::as_array).into_iter().flatten();
    words.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Level;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn healthy() -> Value {
        json!({
            "version": crate::VERSION,
            "condition": "working",
            "summary": "Connected to Ada & Co.",
            "next_step": "Nothing to do.",
            "config": { "error": null, "needs_restart": [] },
            "recoveries": { "count": 0, "last_at": null },
            "safe_mode": null,
            "daemon": { "uid": 997, "open_files_limit": 524_288, "history_dropped": 0 },
        })
    }

    #[track_caller]
    fn check(path: &str, value: Value, expected: &[(&str, Level)]) {
        let mut live = healthy();
        if let Some(place) = live.pointer_mut(path) {
            *place = value;
        }
        let findings = judge(&Ok(live), NOW);
        let bad: Vec<_> = findings
            .iter()
            .filter(|it| it.level != Level::Ok)
            .map(|it| (it.check, it.level))
            .collect();
        assert_eq!(bad, expected, "{path}");
        assert!(findings.iter().all(|it| (it.level == Level::Ok) == it.next_step.is_none()));
    }

    #[test]
    fn a_daemon_is_judged_by_what_it_says() {
        check("/nothing", Value::Null, &[]);
        check("/version", json!("0.0.1"), &[("daemon", Level::Warning)]);
        for (condition, level) in [
            ("impaired", Level::Warning),
            ("not_connected", Level::Warning),
            ("needs_person", Level::Problem),
            ("something_new", Level::Problem),
        ] {
            check("/condition", json!(condition), &[("connection", level)]);
        }
        check("/config/error", json!("issuer: no"), &[("reload", Level::Problem)]);
        check("/config/needs_restart", json!(["local.tcp"]), &[("restart", Level::Warning)]);
        check(
            "/safe_mode",
            json!({ "evidence": [{ "message": "Another machine." }] }),
            &[("safe_mode", Level::Problem)],
        );
        check(
            "/recoveries",
            json!({ "count": 2, "last_at": NOW.0 - 60 }),
            &[("recoveries", Level::Warning)],
        );
        check("/recoveries", json!({ "count": 2, "last_at": NOW.0 - 864_000 }), &[]);
        check("/daemon/uid", json!(0), &[("user", Level::Warning)]);
        check("/daemon/open_files_limit", json!(1_024), &[("limits", Level::Warning)]);
        check("/daemon/history_dropped", json!(4), &[("history", Level::Warning)]);
    }

    #[test]
    fn the_chapter_that_is_named_is_there() {
        let mut live = healthy();
        live["daemon"]["uid"] = json!(0);
        let findings = judge(&Ok(live), NOW);
        let step =
            findings.iter().find(|it| it.check == "user").and_then(|it| it.next_step.as_ref());
        let chapter = step.and_then(|step| step.split('"').nth(1)).expect("a chapter");
        let docs = include_str!("../../../docs/daemon.md");
        assert!(
            docs.lines().any(|line| line.trim_start_matches('#').trim() == chapter),
            "{chapter}"
        );
    }

    #[test]
    fn no_daemon_is_a_problem_with_a_command() {
        let findings = judge(&Err(("No daemon answers.".to_owned(), "Start it.".to_owned())), NOW);
        assert_eq!(findings, [Finding::problem("daemon", "No daemon answers.", "Start it.")]);
    }
}
