//! What is secret in the journal, sealed where there is a credential for it.
//!
//! A text that was not sealed is read all the same: it was written before the credential came, and is sealed by the
//! next that is written.

use std::{path::Path, sync::Arc};

use counterfoil_protocol::encoding::{base64url, from_base64url};
use zeroize::Zeroizing;

use super::JournalError;
use crate::key::Seal;

/// What a sealed text begins with. No document of facts and no registration id does.
const MARK: &str = "sealed:";

/// What is in a sealed text, so that one cannot be put in the place of another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// The facts.
    Facts,
    /// The store's secret name for itself.
    RegistrationId,
}

impl Part {
    fn label(self) -> &'static str {
        match self {
            Self::Facts => "counterfoil journal facts",
            Self::RegistrationId => "counterfoil journal registration id",
        }
    }
}

/// Seals and opens texts, if there is a seal.
#[derive(Clone, Debug)]
pub(super) struct Cover(pub(super) Option<Arc<Seal>>);

impl Cover {
    /// What is written for `text`.
    pub(super) fn put_on(&self, part: Part, text: &str) -> Zeroizing<String> {
        match &self.0 {
            Some(seal) => {
                let sealed = seal.seal(part.label(), b"", text.as_bytes());
                Zeroizing::new(format!("{MARK}{}", base64url(&sealed)))
            }
            None => Zeroizing::new(text.to_owned()),
        }
    }

    /// The text that was written as `found`.
    pub(super) fn take_off(
        &self,
        path: &Path,
        part: Part,
        found: String,
    ) -> Result<Zeroizing<String>, JournalError> {
        let Some(sealed) = found.strip_prefix(MARK) else { return Ok(Zeroizing::new(found)) };
        let damaged =
            |why: &str| JournalError::Damaged { path: path.to_owned(), why: why.to_owned() };
        let Some(seal) = &self.0 else {
            return Err(JournalError::Sealed { path: path.to_owned() });
        };
        let sealed = from_base64url(sealed).ok_or_else(|| damaged("a seal in it is broken"))?;
        let text = seal
            .open(part.label(), b"", &sealed)
            .map_err(|why| JournalError::StaysClosed { path: path.to_owned(), why })?;
        let text = std::str::from_utf8(&text).map_err(|_| damaged("what is sealed is no text"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Whether `found` is to be written again, sealed.
    pub(super) fn is_missing_on(&self, found: &str) -> bool {
        self.0.is_some() && !found.starts_with(MARK)
    }
}
