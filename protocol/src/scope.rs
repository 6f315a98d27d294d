//! Scopes and sets of them (RFC 6749 §3.3).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest scope parameter accepted, in bytes.
pub const MAX_LENGTH: usize = 2_048;

/// A text that is no scope list: empty names, doubled spaces, characters outside the grammar, or too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the scope is not a list of names separated by single spaces")]
pub struct MalformedScope;

/// A set of scope names in the order in which they were first named; no name twice.
#[derive(Clone, Debug, Default)]
pub struct ScopeSet(Vec<String>);

impl ScopeSet {
    /// Reads a scope parameter: names of `%x21 / %x23-5B / %x5D-7E`, single spaces between (RFC 6749 §3.3).
    ///
    /// A name given twice counts once. The empty text is the empty set.
    pub fn parse(text: &str) -> Result<Self, MalformedScope> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > MAX_LENGTH {
            return Err(MalformedScope);
        }
        Self::from_names(text.split(' '))
    }

    /// Makes a set of single names, each checked against the grammar.
    pub fn from_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, MalformedScope> {
        let mut set = Self::default();
        for name in names {
            let in_grammar = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            if name.is_empty() || !name.bytes().all(in_grammar) {
                return Err(MalformedScope);
            }
            if !set.contains(name) {
                set.0.push(name.to_owned());
            }
        }
        Ok(set)
    }

    /// Whether the set has this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|have| have == name)
    }

    /// Whether every name of `other` is in this set.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.0.iter().all(|name| self.contains(name))
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl Eq for ScopeSet {}

/// Sets are equal when they have the same names, whatever the order.
impl PartialEq for ScopeSet {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.contains_all(other)
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for bad in [" a", "a ", "a  b", "a\tb", "a\"b", "a\\b", "é", "a\nb", "a\0"] {
            assert_eq!(ScopeSet::parse(bad), Err(MalformedScope), "{bad:?}");
        }
        assert_eq!(ScopeSet::parse("b a b").expect("a set").to_string(), "b a");
        assert!(ScopeSet::parse("").expect("the empty set").is_empty());
        assert!(ScopeSet::parse(&"a".repeat(MAX_LENGTH + 1)).is_err());
    }

    #[test]
    fn sets_compare_without_order() {
        let (ab, ba, a) = (ScopeSet::parse("a b"), ScopeSet::parse("b a"), ScopeSet::parse("a"));
        let (ab, ba, a) = (ab.expect("set"), ba.expect("set"), a.expect("set"));
        assert_eq!(ab, ba);
        assert_ne!(ab, a);
        assert!(ab.contains_all(&a) && !a.contains_all(&ab));
    }
}
