//! The members of a request's body, each taken out once and checked for what it must be.

use std::collections::HashMap;

use counterfoil_protocol::callback::{self, LocalHosts, UriRefusal};
use serde_json::value::RawValue;

use super::{currency, json::Json};

/// The longest text that names or describes something, in characters.
const MAX_TEXT: usize = 2_048;

/// The longest name, in characters.
const MAX_LINE: usize = 200;

/// A member that is not what it must be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("The member {member} must be {must}.")]
pub struct Fault {
    /// The member, with the object it is in.
    pub member: String,
    /// What it must be.
    pub must: &'static str,
}

/// The members of one object. `null` counts as absent.
pub struct Members<'a> {
    within: &'static str,
    members: HashMap<String, &'a RawValue>,
}

impl<'a> Members<'a> {
    /// Reads an object, whose member names were found unique before. `within` goes before names in faults.
    pub fn read(text: &'a str, within: &'static str) -> Result<Self, Fault> {
        let members = serde_json::from_str(text);
        let members = members.map_err(|_| Fault {
            member: within.trim_end_matches('.').to_owned(),
            must: "an object",
        })?;
        Ok(Self { within, members })
    }

    /// A fault of a member.
    #[must_use]
    pub fn fault(&self, name: &str, must: &'static str) -> Fault {
        Fault { member: format!("{}{name}", self.within), must }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// Refuses a member of another name than these.
    pub fn only(&self, known: &[&str], must: &'static str) -> Result<(), Fault> {
        // The first by name, so that the same body is always refused for the same member.
        let unknown = self.names().filter(|name| !known.contains(name)).min();
        unknown.map_or(Ok(()), |name| Err(self.fault(name, must)))
    }

    /// Whether the member is there, be it `null`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Whether the member is there and `null`.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| value.get() == "null")
    }

    /// A member's JSON text.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.members.get(name).copied().filter(|value| value.get() != "null")
    }

    /// A member that is an object.
    pub fn object(&self, name: &str) -> Result<Option<Json>, Fault> {
        match self.raw(name) {
            Some(value) if !value.get().starts_with('{') => Err(self.fault(name, "an object")),
            value => Ok(value.map(Json::from)),
        }
    }

    /// A member that is true or false.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Fault> {
        let read = |value: &RawValue| {
            serde_json::from_str(value.get()).map_err(|_| self.fault(name, "true or false"))
        };
        self.raw(name).map(read).transpose()
    }

    /// A member that is a text of moderate length without control characters; empty counts as absent.
    pub fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        let must = "a string of at most 2,048 characters without control characters";
        let Some(value) = self.raw(name) else { return Ok(None) };
        let text: String = serde_json::from_str(value.get()).map_err(|_| self.fault(name, must))?;
        let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        if text.chars().count() > MAX_TEXT || !text.chars().all(plain) {
            return Err(self.fault(name, must));
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// A member that is one line of at most `MAX_LINE` characters; empty counts as absent.
    pub fn line(&self, name: &str) -> Result<Option<String>, Fault> {
        let must = "a string of at most 200 characters without control characters";
        let line = self.text(name).map_err(|_| self.fault(name, must))?;
        let fits =
            |line: &String| line.chars().count() <= MAX_LINE && !line.chars().any(char::is_control);
        if line.as_ref().is_some_and(|line| !fits(line)) {
            return Err(self.fault(name, must));
        }
        Ok(line)
    }

    /// A member that is an e-mail address: something before one `@`, a domain after it.
    pub fn email(&self, name: &str) -> Result<Option<String>, Fault> {
        let must = "an e-mail address";
        let email = self.line(name).map_err(|_| self.fault(name, must))?;
        if email.as_deref().is_some_and(|email| !is_email(email)) {
            return Err(self.fault(name, must));
        }
        Ok(email)
    }

    /// A member that is an ISO 4217 code, in any case.
    pub fn currency(&self, name: &str) -> Result<Option<String>, Fault> {
        let must = "a currency code of ISO 4217, like EUR";
        let code = self.line(name).map_err(|_| self.fault(name, must))?;
        let code = code.map(|code| code.to_ascii_uppercase());
        if code.as_deref().is_some_and(|code| currency::decimals(code).is_none()) {
            return Err(self.fault(name, must));
        }
        Ok(code)
    }

    /// A member that is a URL for a browser, which may have a fragment.
    pub fn url(&self, name: &str, local: LocalHosts) -> Result<Option<String>, Fault> {
        let before_fragment = |text: &str| text.split('#').next().unwrap_or_default().to_owned();
        self.vetted(name, |text| callback::vet_url(&before_fragment(text), local))
    }

    /// A member that is a URL for notifications.
    pub fn endpoint(&self, name: &str, local: LocalHosts) -> Result<Option<String>, Fault> {
        self.vetted(name, |text| callback::vet_url(text, local))
    }

    fn vetted(
        &self,
        name: &str,
        vet: impl FnOnce(&str) -> Result<(), UriRefusal>,
    ) -> Result<Option<String>, Fault> {
        let must = "an https URL of a host on the Internet, without userinfo";
        let Some(text) = self.text(name).map_err(|_| self.fault(name, must))? else {
            return Ok(None);
        };
        vet(&text).map_err(|_| self.fault(name, must))?;
        Ok(Some(text))
    }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let labels = || domain.split('.');
    let is_label = |label: &str| {
        let plain = |c: char| c.is_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(plain)
    };
    (1..=64).contains(&local.len())
        && !local.contains(char::is_whitespace)
        && labels().count() >= 2
        && labels().all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@b.example", "a+b.c@mail.shop.example", "ä@büro.example"] {
            assert!(is_email(good), "{good}");
        }
        for bad in
            ["", "a", "@b.example", "a@b", "a@", "a@b..c", "a@.b", "a b@c.d", "a@b@c.d", "a@b.c/d"]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn lines_and_currencies() {
        let text = format!(
            r#"{{"long":"{}","full":"{}","broken":"a\nb","empty":"","eur":"eur","xxx":"XQX","n":1}}"#,
            "x".repeat(201),
            "é".repeat(200)
        );
        let members = Members::read(&text, "").expect("an object");
        assert_eq!(members.line("empty"), Ok(None));
        assert!(members.line("long").is_err());
        assert_eq!(members.line("full"), Ok(Some("é".repeat(200))), "characters, not bytes");
        assert!(members.line("broken").is_err());
        assert_eq!(members.currency("eur"), Ok(Some("EUR".to_owned())));
        for name in ["xxx", "n", "long"] {
            assert!(members.currency(name).is_err(), "{name}");
        }
        assert!(
            members.only(&["long", "full", "broken", "empty", "eur", "xxx", "n"], "known").is_ok()
        );
        assert_eq!(
            members.only(&["long", "full", "empty"], "known"),
            Err(members.fault("broken", "known"))
        );
    }
}
