//! What notifications tell of.

use serde::Deserialize;

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

/// Names of events, in which `*` stands for any text, also for none.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Patterns(pub Vec<String>);

/// The most patterns of one endpoint, and the longest of them, in bytes.
const MAX_PATTERNS: usize = 32;
const MAX_PATTERN: usize = 100;

impl Patterns {
    /// Whether there are some, not too many, and each is one that could be meant.
    #[must_use]
    pub fn are_plain(&self) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._:*-".contains(&b);
        (1..=MAX_PATTERNS).contains(&self.0.len())
            && self
                .0
                .iter()
                .all(|it| (1..=MAX_PATTERN).contains(&it.len()) && it.bytes().all(plain))
    }

    /// The first that no event there is could match.
    #[must_use]
    pub fn idle(&self) -> Option<&str> {
        let idle = |it: &&String| !EventKind::ALL.iter().any(|kind| matches(it, kind.name()));
        self.0.iter().find(idle).map(String::as_str)
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
    fn a_pattern_without_an_event() {
        for (patterns, idle) in [
            (&["makepay.payment.*", "*", "makepay.webhook.test"][..], None),
            (&["makepay.*", "payment.*"], Some("payment.*")),
            (&["makepay.payment.status"], Some("makepay.payment.status")),
        ] {
            let patterns = Patterns(patterns.iter().map(|&it| it.to_owned()).collect());
            assert_eq!(patterns.idle(), idle);
        }
    }

    #[test]
    fn names() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.name()), Some(kind));
        }
        assert_eq!(EventKind::StatusChanged.short(), "status_changed");
        assert_eq!(EventKind::parse("status_changed"), None);
        assert!(Patterns(Vec::new()).want(EventKind::Test));
        assert!(!Patterns(Vec::new()).want(EventKind::StatusChanged));
    }
}
