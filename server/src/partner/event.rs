//! What notifications tell of, and which of them a receiver wants.

use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// A payment moved.
    StatusChanged,
    /// A payment link was made.
    LinkCreated,
    /// A payment link was changed.
    LinkUpdated,
    /// A payment link was put away.
    LinkArchived,
    /// Nothing: somebody tries an endpoint.
    Test,
}

impl EventKind {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::StatusChanged, Self::LinkCreated, Self::LinkUpdated, Self::LinkArchived, Self::Test];

    /// The name on the wire, and in subscriptions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StatusChanged => "makepay.payment.status_changed",
            Self::LinkCreated => "makepay.payment_link.created",
            Self::LinkUpdated => "makepay.payment_link.updated",
            Self::LinkArchived => "makepay.payment_link.archived",
            Self::Test => "makepay.webhook.test",
        }
    }

    /// The end of the name, by which most receivers know it.
    #[must_use]
    pub fn short(self) -> &'static str {
        self.name().rsplit('.').next().unwrap_or_default()
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Names of events, in which `*` stands for any text, also for none. What is stored may be of a time when less was refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Patterns(Vec<String>);

/// The most patterns of one endpoint, and the longest of them, in bytes.
const MAX_PATTERNS: usize = 32;
const MAX_PATTERN: usize = 100;

/// Why a list of patterns is refused: the rule of every door at which they are written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternRefusal {
    /// None, or more than could be meant.
    #[error("there must be 1 to {MAX_PATTERNS} events")]
    Number,
    /// One that no name could be.
    #[error("'{}' is no event: one is 1 to {MAX_PATTERN} letters, digits and . _ : * -", plain(.0))]
    Name(String),
    /// One that would never be told of anything.
    #[error("no event matches '{}'; there are {}", plain(.0), EventKind::ALL.map(EventKind::name).join(", "))]
    Idle(String),
}

/// A pattern as it is named to whoever sent it: what a sentence cannot carry (RFC 6749 §5.2) is a question mark.
fn plain(pattern: &str) -> String {
    let plain = |c: char| if matches!(c, ' '..='~') && !"'\"\\".contains(c) { c } else { '?' };
    pattern.chars().take(MAX_PATTERN).map(plain).collect()
}

impl Patterns {
    /// Takes patterns that somebody wrote: some, not too many, and each one that an event there is matches.
    pub fn parse(patterns: Vec<String>) -> Result<Self, PatternRefusal> {
        if !(1..=MAX_PATTERNS).contains(&patterns.len()) {
            return Err(PatternRefusal::Number);
        }
        for pattern in &patterns {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._:*-".contains(&b);
            if !(1..=MAX_PATTERN).contains(&pattern.len()) || !pattern.bytes().all(plain) {
                return Err(PatternRefusal::Name(pattern.clone()));
            }
            if !EventKind::ALL.iter().any(|kind| matches(pattern, kind.name())) {
                return Err(PatternRefusal::Idle(pattern.clone()));
            }
        }
        Ok(Self(patterns))
    }

    /// Exactly these events.
    #[must_use]
    pub fn of(kinds: &[EventKind]) -> Self {
        Self(kinds.iter().map(|kind| kind.name().to_owned()).collect())
    }

    /// The patterns, as they were written.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether an event is meant. Every endpoint can be tried.
    #[must_use]
    pub fn want(&self, kind: EventKind) -> bool {
        kind == EventKind::Test || self.0.iter().any(|pattern| matches(pattern, kind.name()))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(begin) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    // Each part where it comes first leaves most for those after it.
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("makepay.payment.*", "makepay.payment.status_changed", true),
            ("makepay.payment.*", "makepay.payment_link.created", false),
            ("makepay.payment*", "makepay.payment_link.created", true),
            ("makepay.payment.status_changed", "makepay.payment.status_changed", true),
            ("makepay.payment.status", "makepay.payment.status_changed", false),
            ("*", "makepay.webhook.test", true),
            ("*.archived", "makepay.payment_link.archived", true),
            ("*.archived", "makepay.payment_link.archived.x", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "axbxxc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("**", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn written() {
        let parse =
            |patterns: &[&str]| Patterns::parse(patterns.iter().map(|&it| it.to_owned()).collect());
        // What clients in the field send, and what else is meant.
        for patterns in [
            &["makepay.payment.*"][..],
            &["makepay.payment.status_changed"],
            &["*"],
            &["makepay.*", "*.archived", "makepay.webhook.test"],
            &["*"; MAX_PATTERNS],
        ] {
            assert_eq!(parse(patterns).expect("patterns").as_slice(), patterns);
        }
        let (long, longest) = ("x".repeat(MAX_PATTERN + 1), "x".repeat(MAX_PATTERN));
        for (patterns, sentence) in [
            (&[][..], "there must be 1 to 32 events"),
            (&["*"; MAX_PATTERNS + 1], "there must be 1 to 32 events"),
            (&["*", ""], "'' is no event: "),
            (&["makepay payment"], "'makepay payment' is no event: "),
            (&["a\"\\'\nä*"], "'a?????*' is no event: one is 1 to 100 letters"),
            (&[&long], &format!("'{longest}' is no event: ")),
            (&[&longest], &format!("no event matches '{longest}'; ")),
            (
                &["makepay.*", "payment.*"],
                "no event matches 'payment.*'; there are makepay.payment.",
            ),
            (&["makepay.payment.status"], "no event matches 'makepay.payment.status'; "),
            (&["Makepay.payment.*"], "no event matches 'Makepay.payment.*'; "),
        ] {
            let refusal = parse(patterns).expect_err("refused").to_string();
            assert!(refusal.starts_with(sentence), "{refusal}");
        }
    }

    #[test]
    fn names() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.name()), Some(kind));
            let one = Patterns::of(&[kind]);
            assert_eq!(Patterns::parse(one.as_slice().to_vec()), Ok(one));
        }
        assert_eq!(EventKind::StatusChanged.short(), "status_changed");
        assert_eq!(EventKind::parse("status_changed"), None);
        assert!(Patterns(Vec::new()).want(EventKind::Test));
        assert!(!Patterns(Vec::new()).want(EventKind::StatusChanged));
    }
}
