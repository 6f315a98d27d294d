//! Which request needs which scopes. Whatever no rule names is refused.

use std::collections::BTreeSet;

use crate::config;

/// The most segments of a rule's path.
const MAX_PARTS: usize = 32;

/// What becomes of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict<'a> {
    /// It may pass with all of these scopes.
    Needs(&'a [String]),
    /// The path is there, for these methods.
    OtherMethods(String),
    /// No rule names the path.
    Unknown,
}

/// The rules of one upstream.
#[derive(Clone, Debug)]
pub struct Rules(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    methods: BTreeSet<String>,
    pattern: Pattern,
    scopes: Vec<String>,
}

/// A path below a prefix.
#[derive(Clone, Debug)]
struct Pattern {
    parts: Vec<Part>,
    /// Whether further segments may follow.
    open: bool,
}

/// One segment of a pattern, in the order of how little it says.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Any,
    Fixed(String),
}

/// How a pattern fits a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fit {
    Exact,
    /// But for upper and lower case, which some servers do not tell apart.
    Almost,
}

impl Rules {
    /// Reads the rules, or says what is wrong with them.
    pub fn read(settings: &[config::Rule]) -> Result<Self, String> {
        if settings.is_empty() {
            return Err("has no rules: nothing would be forwarded".to_owned());
        }
        let numbered = settings.iter().enumerate();
        let rules = numbered
            .map(|(at, rule)| Rule::read(rule).map_err(|why| format!("rule {}: {why}", at + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        for (at, one) in rules.iter().enumerate() {
            for (earlier, other) in rules[..at].iter().enumerate() {
                let method = one.methods.intersection(&other.methods).next();
                if let Some(method) = method.filter(|_| one.pattern.is_rival_of(&other.pattern)) {
                    return Err(format!(
                        "rules {} and {} both fit {method} of the same paths, and neither says more than the other: \
                         make one of them more exact",
                        earlier + 1,
                        at + 1
                    ));
                }
            }
        }
        Ok(Self(rules))
    }

    /// All scopes that are named.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|rule| rule.scopes.iter().map(String::as_str))
    }

    /// Judges a request to a path below the prefix: its segments, without the slash before them.
    ///
    /// Of the rules that fit, the most exact one decides. A path that a rule names but for upper and lower case is
    /// refused where that rule would decide: the server behind may take it for the very same.
    #[must_use]
    pub fn judge(&self, method: &str, path: &str) -> Verdict<'_> {
        let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let fitting: Vec<_> = self
            .0
            .iter()
            .filter_map(|rule| rule.pattern.fits(&segments).map(|fit| (rule, fit)))
            .collect();
        let of_method = fitting.iter().filter(|(rule, _)| rule.methods.contains(method));
        let decides = of_method.reduce(|best, next| {
            if next.0.pattern.says_more_than(&best.0.pattern) { next } else { best }
        });
        if let Some((rule, fit)) = decides {
            return if *fit == Fit::Exact {
                Verdict::Needs(&rule.scopes)
            } else {
                Verdict::Unknown
            };
        }
        let exact = fitting.iter().filter(|(_, fit)| *fit == Fit::Exact);
        let methods: BTreeSet<_> = exact.flat_map(|(rule, _)| &rule.methods).collect();
        if methods.is_empty() {
            return Verdict::Unknown;
        }
        Verdict::OtherMethods(methods.into_iter().cloned().collect::<Vec<_>>().join(", "))
    }
}

impl Rule {
    fn read(settings: &config::Rule) -> Result<Self, String> {
        if settings.methods.is_empty() {
            return Err("names no methods: methods = [\"GET\"]".to_owned());
        }
        let mut methods = BTreeSet::new();
        for method in &settings.methods {
            let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
            if !is_method || matches!(method.as_str(), "CONNECT" | "TRACE") {
                return Err(format!(
                    "{method:?} is no method that is forwarded; methods are in capitals"
                ));
            }
            methods.insert(method.clone());
        }
        if methods.contains("GET") {
            methods.insert("HEAD".to_owned());
        }
        if settings.scopes.is_empty() {
            return Err("needs no scope: any access token would open it; name one".to_owned());
        }
        let pattern = Pattern::read(settings.path.as_deref().unwrap_or("**"))?;
        Ok(Self { methods, pattern, scopes: settings.scopes.clone() })
    }
}

impl Pattern {
    fn read(text: &str) -> Result<Self, String> {
        let (text, open) = match text.strip_suffix("**") {
            Some("") => ("", true),
            Some(front) => (
                front.strip_suffix('/').ok_or_else(|| {
                    format!("path {text:?}: ** stands alone after the last slash")
                })?,
                true,
            ),
            None => (text, false),
        };
        let part = |part: &str| match part {
            "*" => Ok(Part::Any),
            "" => Err(format!(
                "path {text:?} has an empty segment; it begins without a slash and ends without one"
            )),
            fixed if is_unreserved(fixed) && !fixed.ends_with('.') => {
                Ok(Part::Fixed(fixed.to_owned()))
            }
            _ => Err(format!(
                "path {text:?}: a segment is *, or letters, digits, -, ., _ and ~; ** may be the last"
            )),
        };
        let parts = match text {
            "" => Vec::new(),
            _ => text.split('/').map(part).collect::<Result<Vec<_>, _>>()?,
        };
        if parts.len() > MAX_PARTS {
            return Err(format!("path {text:?} has more than {MAX_PARTS} segments"));
        }
        Ok(Self { parts, open })
    }

    fn fits(&self, segments: &[&str]) -> Option<Fit> {
        let long_enough =
            segments.len() == self.parts.len() || (self.open && segments.len() > self.parts.len());
        if !long_enough {
            return None;
        }
        let mut fit = Fit::Exact;
        for (part, segment) in self.parts.iter().zip(segments) {
            match part {
                Part::Fixed(fixed) if fixed == segment => {}
                Part::Fixed(fixed) if fixed.eq_ignore_ascii_case(segment) => fit = Fit::Almost,
                Part::Fixed(_) => return None,
                Part::Any => {}
            }
        }
        Some(fit)
    }

    /// Whether both fit some path, and neither says more than the other.
    fn is_rival_of(&self, other: &Self) -> bool {
        self.overlaps(other) && self.says_more_than(other) == other.says_more_than(self)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (short, long) =
            if self.parts.len() <= other.parts.len() { (self, other) } else { (other, self) };
        let same = |pair: (&Part, &Part)| match pair {
            (Part::Fixed(one), Part::Fixed(other)) => one.eq_ignore_ascii_case(other),
            _ => true,
        };
        (short.parts.len() == long.parts.len() || short.open)
            && short.parts.iter().zip(&long.parts).all(same)
    }

    /// Whether somewhere this says more than `other`, which fits the same path.
    fn says_more_than(&self, other: &Self) -> bool {
        let fixed = |pair: (&Part, &Part)| matches!(pair, (Part::Fixed(_), Part::Any));
        let longer = self.parts.len() > other.parts.len();
        let closed = self.parts.len() == other.parts.len() && !self.open && other.open;
        longer || closed || self.parts.iter().zip(&other.parts).any(fixed)
    }
}

/// Characters that never need an encoding (RFC 3986 §2.3).
pub(super) fn is_unreserved(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(methods: &str, path: Option<&str>, scopes: &str) -> config::Rule {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        config::Rule {
            methods: words(methods),
            path: path.map(str::to_owned),
            scopes: words(scopes),
        }
    }

    fn read(rules: &[(&str, Option<&str>, &str)]) -> Result<Rules, String> {
        let settings: Vec<_> = rules.iter().map(|(m, p, s)| rule(m, *p, s)).collect();
        Rules::read(&settings)
    }

    #[test]
    fn the_most_exact_rule_decides() {
        let rules = read(&[
            ("GET", None, "read"),
            ("POST", Some(""), "write"),
            ("PATCH DELETE", Some("*"), "write"),
            ("POST", Some("*/refund"), "write refund"),
            ("GET", Some("reports/**"), "reports"),
            ("GET", Some("reports/public"), "company"),
            ("PUT", Some("*/*/lines"), "lines"),
        ])
        .expect("rules");
        for (method, path, expected) in [
            ("GET", "", "read"),
            ("HEAD", "", "read"),
            ("GET", "7", "read"),
            ("GET", "7/8/9/10", "read"),
            ("POST", "", "write"),
            ("PATCH", "7", "write"),
            ("DELETE", "refund", "write"),
            ("POST", "7/refund", "write refund"),
            ("GET", "7/refund", "read"),
            ("GET", "reports", "reports"),
            ("GET", "reports/1/2", "reports"),
            ("GET", "reports/public", "company"),
            ("HEAD", "reports/public", "company"),
            ("GET", "reports/public/x", "reports"),
            ("PUT", "reports/8/lines", "lines"),
        ] {
            match rules.judge(method, path) {
                Verdict::Needs(scopes) => assert_eq!(scopes.join(" "), expected, "{method} {path}"),
                other => panic!("{method} {path}: {other:?}"),
            }
        }
        for (method, path, allow) in [
            ("PUT", "7", "DELETE, GET, HEAD, PATCH"),
            ("POST", "7", "DELETE, GET, HEAD, PATCH"),
            ("OPTIONS", "7/refund", "GET, HEAD, POST"),
            ("get", "", "GET, HEAD, POST"),
            ("TRACE", "", "GET, HEAD, POST"),
        ] {
            let expected = Verdict::OtherMethods(allow.to_owned());
            assert_eq!(rules.judge(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_no_rule_names_is_unknown() {
        let rules = read(&[("GET", Some("*/lines"), "read"), ("POST", Some("a"), "write")]);
        let rules = rules.expect("rules");
        for path in ["", "7", "7/lines/1", "7/line", "b"] {
            for method in ["GET", "POST", "PUT"] {
                assert_eq!(rules.judge(method, path), Verdict::Unknown, "{method} {path}");
            }
        }
    }

    #[test]
    fn upper_case_opens_no_way_around_a_rule() {
        let rules = read(&[("GET", None, "read"), ("GET", Some("admin/**"), "admin")]);
        let rules = rules.expect("rules");
        assert_eq!(rules.judge("GET", "admin/x"), Verdict::Needs(&["admin".to_owned()]));
        assert_eq!(rules.judge("GET", "admins"), Verdict::Needs(&["read".to_owned()]));
        for path in ["Admin", "ADMIN/x", "aDmin"] {
            assert_eq!(rules.judge("GET", path), Verdict::Unknown, "{path}");
        }
        assert_eq!(rules.judge("PUT", "ADMIN"), Verdict::OtherMethods("GET, HEAD".to_owned()));
    }

    #[test]
    fn rules_that_cannot_be() {
        for (rules, words) in [
            (&[][..], "has no rules"),
            (&[("", None, "read")][..], "rule 1: names no methods"),
            (&[("get", None, "read")], "\"get\" is no method"),
            (&[("TRACE", None, "read")], "\"TRACE\" is no method"),
            (&[("CONNECT", None, "read")], "\"CONNECT\" is no method"),
            (&[("GET", None, "")], "rule 1: needs no scope"),
            (&[("GET", Some("/a"), "read")], "empty segment"),
            (&[("GET", Some("a/"), "read")], "empty segment"),
            (&[("GET", Some("a//b"), "read")], "empty segment"),
            (&[("GET", Some("a**"), "read")], "stands alone"),
            (&[("GET", Some("**/a"), "read")], "a segment is *"),
            (&[("GET", Some("a*"), "read")], "a segment is *"),
            (&[("GET", Some("{id}"), "read")], "a segment is *"),
            (&[("GET", Some(".."), "read")], "a segment is *"),
            (&[("GET", Some("%61"), "read")], "a segment is *"),
            (&[("GET", None, "a"), ("GET", None, "b")], "rules 1 and 2 both fit GET"),
            (&[("GET", Some("A"), "a"), ("GET", Some("a"), "b")], "rules 1 and 2 both fit"),
            (&[("GET", None, "a"), ("HEAD", Some("**"), "b")], "both fit HEAD"),
            (
                &[("GET", None, "a"), ("PUT", Some("a/*"), "b"), ("PUT", Some("*/b"), "c")],
                "rules 2 and 3 both fit PUT",
            ),
            (&[("PUT", Some("a/**"), "b"), ("PUT", Some("*/b"), "c")], "both fit PUT"),
        ] {
            let error = read(rules).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
        read(&[("PUT", Some("a/*"), "b"), ("POST", Some("*/b"), "c")]).expect("other methods");
        read(&[("PUT", Some("a/*"), "b"), ("PUT", Some("b/*"), "c")]).expect("other paths");
        read(&[("PUT", Some("a/*"), "b"), ("PUT", Some("a/*/c"), "c")]).expect("other lengths");
    }
}
