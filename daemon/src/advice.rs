//! Commands that people are told to run, as a shell takes them.

/// What every command begins with.
const PROGRAM: &str = "counterfoild ";

/// Verbs that speak with a daemon and so have to find it; of two words, where one has verbs of its own.
const VERBS: [&str; 14] = [
    "adopt",
    "connect",
    "disconnect",
    "doctor",
    "events",
    "key rotate",
    "key show",
    "log",
    "reload",
    "separate",
    "status",
    "support-bundle",
    "webhook rotate",
    "webhook show",
];

/// A path as a shell takes it.
pub(crate) fn quoted(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@".contains(&b);
    if path.bytes().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// The same text, with `place`, flags that say where the daemon is, in every command that has none.
pub(crate) fn with_place(text: &str, place: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PROGRAM).filter(|_| !place.is_empty()) {
        let (before, command) = rest.split_at(at + PROGRAM.len());
        told.push_str(before);
        rest = command;
        let is_whole = |verb: &&&str| {
            let after = command.strip_prefix(**verb);
            after.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
        };
        let Some(verb) = VERBS.iter().find(is_whole) else { continue };
        told.push_str(verb);
        rest = &command[verb.len()..];
        let is_placed = ["--config", "--state-dir", "--socket"]
            .iter()
            .any(|flag| rest.trim_start().starts_with(flag));
        if !is_placed {
            told.push(' ');
            told.push_str(place);
        }
    }
    told.push_str(rest);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_can_be_pasted() {
        assert_eq!(quoted("/var/lib/counterfoil-2"), "/var/lib/counterfoil-2");
        assert_eq!(quoted("/srv/my shop"), "'/srv/my shop'");
        assert_eq!(quoted("/srv/it's; rm"), r"'/srv/it'\''s; rm'");
    }

    #[test]
    fn commands_say_where_the_daemon_is() {
        for (text, expected) in [
            ("Then run: counterfoild reload", "Then run: counterfoild reload --config /s.toml"),
            (
                "counterfoild status (it says why); counterfoild key rotate, or counterfoild disconnect --forget",
                "counterfoild status --config /s.toml (it says why); counterfoild key rotate --config /s.toml, or counterfoild \
                 disconnect --config /s.toml --forget",
            ),
            ("counterfoild adopt --state-dir /s", "counterfoild adopt --state-dir /s"),
            ("journalctl -u counterfoild -n 50", "journalctl -u counterfoild -n 50"),
            ("Restart the counterfoild statusbar", "Restart the counterfoild statusbar"),
            ("sudo counterfoild …", "sudo counterfoild …"),
            ("counterfoild", "counterfoild"),
        ] {
            assert_eq!(with_place(text, "--config /s.toml"), expected);
            assert_eq!(with_place(text, ""), text);
        }
    }
}
