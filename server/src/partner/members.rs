//! The members of a request's body, each taken out once and checked for what it must be.

use std::collections::HashMap;

use counterfoil_protocol::callback::{self, LocalHosts, UriRefusal};
use serde_json::value::RawValue;

use super::json::Json;

/// The longest text that names or describes something, in bytes.
const MAX_TEXT: usize = 2_048;

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
        let must = "a string of at most 2,048 bytes without control characters";
        let Some(value) = self.raw(name) else { return Ok(None) };
        let text: String = serde_json::from_str(value.get()).map_err(|_| self.fault(name, must))?;
        let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        if text.len() > MAX_TEXT || !text.chars().all(plain) {
            return Err(self.fault(name, must));
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
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
