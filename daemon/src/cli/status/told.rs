//! Status for people: the answer first, then the facts in groups.

use std::fmt::Write as _;

use counterfoil_protocol::UnixTime;
use serde_json::Value;

use crate::{
    cli::paint::{Colour, Paint},
    moment::{Moments, span},
};

/// A status on its way to a person.
pub(super) struct Told<'a> {
    pub(super) status: &'a Value,
    pub(super) moments: Moments,
    pub(super) paint: Paint,
    pub(super) now: UnixTime,
}

impl Told<'_> {
    /// All of it.
    pub(super) fn whole(&self) -> String {
        let colour = match self.text("/condition").as_deref() {
            Some("working") => Colour::Green,
            Some("not_connected" | "impaired") => Colour::Yellow,
            _ => Colour::Red,
        };
        let summary = self.text("/summary").unwrap_or_default();
        let next_step = self.text("/next_step").unwrap_or_default();
        let mut told = format!("{}\n{next_step}\n", self.paint.with(colour, &summary));
        if let Some(error) =
            self.text("/config/error").filter(|_| !next_step.contains("store's file"))
        {
            let says = format!("The store's file is not taken over: {error}.");
            let says = self.paint.with(Colour::Yellow, &says);
            let _ = write!(told, "{says}\nCorrect it; then run: counterfoild reload\n");
        }
        told.push_str(&self.safe_mode());
        for (name, lines) in [
            ("Connection", self.connection()),
            ("Platform", self.platform()),
            ("Store", self.store()),
            ("Daemon", self.daemon()),
        ] {
            let lines: Vec<_> =
                lines.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            if lines.is_empty() {
                continue;
            }
            let _ = write!(told, "\n{}\n", self.paint.with(Colour::Bold, name));
            for (name, value) in lines {
                let _ = writeln!(
                    told,
                    "  {} {value}",
                    self.paint.with(Colour::Dim, &format!("{name:<14}"))
                );
            }
        }
        told.truncate(told.trim_end().len());
        told
    }

    fn connection(&self) -> Vec<(&'static str, Option<String>)> {
        let company = match (self.text("/company/name"), self.text("/company/id")) {
            (Some(name), Some(id)) => Some(format!("{name} ({id})")),
            (name, id) => name.or(id),
        };
        vec![
            ("State", self.text("/state").map(|state| state.replace('_', " "))),
            ("Company", company),
            ("Permissions", self.words("/scopes")),
            ("Connected", self.time("/connected_at")),
            ("Token ends", self.time("/token/expires_at")),
            ("Token renews", self.time("/token/renews_at")),
            ("Renewals", self.renewals()),
            ("Recovered", self.recoveries()),
            ("Approval ends", self.time("/pending/expires_at")),
            ("Notifications", self.text("/webhook/state").filter(|state| state != "off")),
            ("Last trouble", self.last_error()),
            ("Tried again", self.time("/next_try_at")),
        ]
    }

    fn platform(&self) -> Vec<(&'static str, Option<String>)> {
        let reachable = self.status.pointer("/server/reachable").and_then(Value::as_bool);
        let asked = self.time("/server/checked_at");
        // What was not asked since may answer by now.
        let silent =
            self.number("/server/unreachable_since").zip(self.number("/server/checked_at"));
        let silent = silent.map(|(since, asked)| asked - since).filter(|silent| *silent > 0);
        let silent = silent.map(|silent| format!("; silent for {} then", span(silent)));
        let answers = reachable.map(|yes| match (yes, asked) {
            (true, Some(asked)) => format!("yes, asked {asked}"),
            (true, None) => "yes".to_owned(),
            (false, Some(asked)) => {
                let told = format!("no, last asked {asked}{}", silent.unwrap_or_default());
                self.paint.with(Colour::Red, &told)
            }
            (false, None) => self.paint.with(Colour::Red, "no"),
        });
        let offset = self.number("/server/clock_offset").filter(|offset| *offset != 0);
        let clock = offset.map(|offset| {
            let how = if offset > 0 { "behind" } else { "ahead of" };
            format!("this machine is {} {how} the platform", span(offset.abs()))
        });
        vec![("Address", self.text("/issuer")), ("Answers", answers), ("Clock", clock)]
    }

    fn store(&self) -> Vec<(&'static str, Option<String>)> {
        let own = self.status.get("site").filter(|site| !site.is_null());
        let strangers = self.list("/strangers").into_iter().flatten();
        let mut lines = vec![
            ("Site", self.text("/site_url")),
            ("Calls itself", own.map(|own| self.site(own))),
            ("Kind", self.text("/platform")),
            ("Installation", self.text("/client_id")),
            ("Key", self.text("/thumbprint")),
            ("Kept", self.kept()),
        ];
        lines.extend(strangers.map(|stranger| ("Stranger", Some(self.site(stranger)))));
        lines
    }

    /// Where the key lives, and since when it is in force.
    fn kept(&self) -> Option<String> {
        let sealed = self.status.pointer("/key/sealed").and_then(Value::as_bool);
        let place = match (self.text("/key/store")?.as_str(), sealed) {
            ("pkcs11", _) => "in a PKCS#11 token",
            ("tpm", _) => "by this machine's TPM",
            (_, Some(true)) => "in a sealed file",
            _ => "in a file",
        };
        let since = self.number("/key/since").map(UnixTime);
        let since = since.map(|at| format!(", since {}", self.moments.both(at, self.now)));
        let file = self.text("/key/file").filter(|file| file != "in_order");
        let file = file.map(|file| format!("; the file: {}", file.replace('_', " ")));
        let file = file.map(|file| self.paint.with(Colour::Red, &file));
        Some(format!("{place}{}{}", since.unwrap_or_default(), file.unwrap_or_default()))
    }

    /// A site by what it says of itself, and when that was.
    fn site(&self, site: &Value) -> String {
        let word = |name: &str| site.get(name).and_then(Value::as_str).unwrap_or_default();
        let blog = site.get("blog").and_then(Value::as_u64).unwrap_or_default();
        let seen_at = site.get("seen_at").and_then(Value::as_i64).map(UnixTime);
        let seen_at = seen_at.map(|at| format!(", last {}", self.moments.both(at, self.now)));
        format!("{}, blog {blog}, in {}{}", word("home"), word("path"), seen_at.unwrap_or_default())
    }

    fn daemon(&self) -> Vec<(&'static str, Option<String>)> {
        let process = self.number("/daemon/pid").zip(self.number("/daemon/uid"));
        let dropped = self.number("/daemon/history_dropped").filter(|dropped| *dropped > 0);
        vec![
            ("Version", self.text("/version")),
            ("Started", self.time("/daemon/started_at")),
            ("Process", process.map(|(pid, uid)| format!("{pid}, as user {uid}"))),
            ("Store's file", self.text("/daemon/config_file")),
            ("Not gone by", self.text("/config/error")),
            ("Needs restart", self.words("/config/needs_restart")),
            ("State", self.text("/daemon/state_dir")),
            ("Socket", self.text("/daemon/api_socket")),
            ("Metrics", self.text("/daemon/metrics_listen")),
            ("Log", self.log()),
            ("History", dropped.map(|dropped| format!("{dropped} records were not kept"))),
        ]
    }

    /// The level of the log, where it is not the usual one.
    fn log(&self) -> Option<String> {
        let level = self.text("/daemon/log/level").filter(|level| level != "info")?;
        let until = self.time("/daemon/log/until").map(|until| format!(", back {until}"));
        Some(format!("{level}{}", until.unwrap_or_default()))
    }

    /// Why the daemon is in safe mode, and what can be done.
    fn safe_mode(&self) -> String {
        let list = |path: &str| self.list(path).into_iter().flatten();
        let mut told = String::new();
        for sign in list("/safe_mode/evidence").filter_map(|sign| sign.get("message")?.as_str()) {
            let _ = write!(told, "\n- {sign}");
        }
        for choice in list("/safe_mode/choices") {
            let word = |name: &str| choice.get(name).and_then(Value::as_str);
            let _ = write!(told, "\n\n{}", word("message").unwrap_or_default());
            if let Some(command) = word("command") {
                let _ = write!(told, "\n    {command}");
            }
        }
        if !told.is_empty() {
            told.push('\n');
        }
        told
    }

    fn recoveries(&self) -> Option<String> {
        let count = self.number("/recoveries/count").filter(|count| *count > 0)?;
        let last = self.time("/recoveries/last_at").unwrap_or_default();
        Some(format!("{count} times by the key, last {last}"))
    }

    fn words(&self, path: &str) -> Option<String> {
        let words: Vec<_> = self.list(path)?.iter().filter_map(Value::as_str).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    fn renewals(&self) -> Option<String> {
        let renewals = self.list("/renewals").filter(|renewals| !renewals.is_empty())?;
        let told = renewals.iter().map(|renewal| {
            let at = renewal.get("at").and_then(Value::as_i64).unwrap_or_default();
            let ago = span((self.now.0 - at).max(0));
            match renewal.get("code").and_then(Value::as_str) {
                None => format!("{ago} ago"),
                Some(code) => {
                    self.paint.with(Colour::Yellow, &format!("{ago} ago failed ({code})"))
                }
            }
        });
        Some(told.collect::<Vec<_>>().join(", "))
    }

    fn last_error(&self) -> Option<String> {
        let (message, code) = (self.text("/last_error/message")?, self.text("/last_error/code")?);
        let at = self.time("/last_error/at").unwrap_or_default();
        Some(format!("{message} ({code}, {at})"))
    }

    fn text(&self, path: &str) -> Option<String> {
        self.status.pointer(path).and_then(Value::as_str).map(str::to_owned)
    }

    fn number(&self, path: &str) -> Option<i64> {
        self.status.pointer(path).and_then(Value::as_i64)
    }

    fn list(&self, path: &str) -> Option<&Vec<Value>> {
        self.status.pointer(path).and_then(Value::as_array)
    }

    fn time(&self, path: &str) -> Option<String> {
        self.number(path).map(|at| self.moments.both(UnixTime(at), self.now))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn told(status: &Value) -> String {
        let (moments, paint) = (Moments::new(true), Paint::fixed(false));
        Told { status, moments, paint, now: UnixTime(NOW) }.whole()
    }

    #[test]
    fn people_read_the_answer_first_and_no_empty_lines_of_facts() {
        let status = json!({
            "state": "connected",
            "condition": "impaired",
            "summary": "Connected to Ada & Co and working, but: no answer.",
            "next_step": "Wait.",
            "company": { "id": "co_1", "name": "Ada & Co" },
            "scopes": ["company:read", "makepay:payment-links:read"],
            "connected_at": NOW - 86_400 * 3,
            "token": { "expires_at": NOW + 1_380 },
            "renewals": [{ "at": NOW - 60, "code": "server_unreachable" }, { "at": NOW - 1_800, "code": null }],
            "next_try_at": NOW + 30,
            "server": { "reachable": false, "checked_at": NOW - 60, "unreachable_since": NOW - 600, "clock_offset": -90 },
            "last_error": null,
            "version": "0.1.0",
            "recoveries": { "count": 2, "last_at": NOW - 7_200 },
            "config": { "error": "issuer: no", "needs_restart": ["local.tcp"] },
            "daemon": { "pid": 7, "uid": 33, "history_dropped": 0, "metrics_listen": null },
        });
        let expected = "\
Connected to Ada & Co and working, but: no answer.
Wait.
The store's file is not taken over: issuer: no.
Correct it; then run: counterfoild reload

Connection
  State          connected
  Company        Ada & Co (co_1)
  Permissions    company:read makepay:payment-links:read
  Connected      3 days ago (2027-01-12 08:00:00Z)
  Token ends     in 23 min (2027-01-15 08:23:00Z)
  Renewals       60 s ago failed (server_unreachable), 30 min ago
  Recovered      2 times by the key, last 2 h ago (2027-01-15 06:00:00Z)
  Tried again    in 30 s (2027-01-15 08:00:30Z)

Platform
  Answers        no, last asked 60 s ago (2027-01-15 07:59:00Z); silent for 9 min then
  Clock          this machine is 90 s ahead of the platform

Daemon
  Version        0.1.0
  Process        7, as user 33
  Not gone by    issuer: no
  Needs restart  local.tcp";
        assert_eq!(told(&status), expected);
    }

    #[test]
    fn a_silence_that_begins_has_no_length_and_an_approval_has_an_end() {
        let server =
            json!({ "reachable": false, "checked_at": NOW - 37, "unreachable_since": NOW - 37 });
        let text = told(&json!({ "server": server, "pending": { "expires_at": NOW + 540 } }));
        assert!(
            text.ends_with("\n  Answers        no, last asked 37 s ago (2027-01-15 07:59:23Z)"),
            "{text}"
        );
        assert!(text.contains("  Approval ends  in 9 min ("), "{text}");
    }

    #[test]
    fn safe_mode_says_why_and_what_can_be_done() {
        let status = json!({
            "summary": "Safe mode.",
            "next_step": "Say what this is.",
            "safe_mode": {
                "evidence": [{ "message": "Another machine." }],
                "choices": [
                    { "message": "The store moved here:", "command": "counterfoild adopt" },
                    { "message": "Leave it.", "command": null },
                ],
            },
        });
        let expected = "Safe mode.\nSay what this is.\n\n- Another machine.\n\nThe store moved here:\n    \
            counterfoild adopt\n\nLeave it.";
        assert_eq!(told(&status), expected);
    }

    #[test]
    fn the_site_and_its_strangers_are_told_apart() {
        let site = |home: &str| json!({ "home": home, "blog": 1, "path": "/srv" });
        let mut stranger = site("https://staging.example");
        stranger["seen_at"] = json!(NOW - 60);
        let text = told(&json!({ "site": site("https://shop.example"), "strangers": [stranger] }));
        assert!(text.contains("Calls itself   https://shop.example, blog 1, in /srv"), "{text}");
        assert!(text.contains("Stranger       https://staging.example, blog 1, in /srv, last "));
    }

    #[test]
    fn an_answer_without_facts_is_still_an_answer() {
        let status =
            json!({ "state": "degraded", "summary": "It cannot work.", "next_step": "Restore." });
        assert_eq!(
            told(&status),
            "It cannot work.\nRestore.\n\nConnection\n  State          degraded"
        );
    }
}
