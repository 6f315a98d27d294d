//! Changes to a payment link.

use counterfoil_protocol::{UnixTime, callback::LocalHosts};

use super::{LinkStatus, PaymentLink};
use crate::partner::{
    json::Json,
    members::{Fault, Members},
};

/// Everything that can be changed.
const PATCHABLE: [&str; 5] = ["status", "returnUrl", "successUrl", "failureUrl", "metadata"];

/// A change of a payment link.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkPatch {
    /// Puts the link away.
    pub archive: bool,
    /// Where the payer's browser goes.
    pub return_url: UrlChange,
    /// Where it goes when paid.
    pub success_url: UrlChange,
    /// Where it goes when not.
    pub failure_url: UrlChange,
    /// Other data in place of the store's own.
    pub metadata: Option<Json>,
}

/// A change of one URL.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum UrlChange {
    /// It is not named.
    #[default]
    Keep,
    /// It is `null` or empty.
    Remove,
    /// Another one.
    Set(String),
}

/// Why a link cannot be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArchiveRefusal {
    /// It was put away before.
    AlreadyArchived,
    /// Somebody has begun to pay it.
    HasSession,
}

impl ArchiveRefusal {
    /// The `errorCode` on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::AlreadyArchived => "payment_link_already_archived",
            Self::HasSession => "payment_link_has_session",
        }
    }
}

impl LinkPatch {
    /// Reads a body: a JSON object, whose member names were found unique before.
    pub fn parse(text: &str, local: LocalHosts) -> Result<Self, Fault> {
        let body = Members::read(text, "")?;
        body.only(&PATCHABLE, "left out: it cannot be changed")?;
        let url = |name: &str| match body.url(name, local)? {
            Some(url) => Ok(UrlChange::Set(url)),
            None if body.has(name) => Ok(UrlChange::Remove),
            None => Ok(UrlChange::Keep),
        };
        let archive = match body.text("status")?.as_deref() {
            None => false,
            Some("archived") => true,
            Some(_) => return Err(body.fault("status", "archived, or left out")),
        };
        let patch = Self {
            archive,
            return_url: url("returnUrl")?,
            success_url: url("successUrl")?,
            failure_url: url("failureUrl")?,
            metadata: match body.object("metadata")? {
                None if body.is_null("metadata") => Some(Json::empty_object()),
                found => found,
            },
        };
        if patch == Self::default() {
            return Err(body.fault("status", "archived, or another member be changed"));
        }
        Ok(patch)
    }

    /// The link as it is afterwards.
    pub fn apply(self, link: &PaymentLink, now: UnixTime) -> Result<PaymentLink, ArchiveRefusal> {
        if link.status == LinkStatus::Archived {
            return Err(ArchiveRefusal::AlreadyArchived);
        }
        if self.archive && link.session.is_some() {
            return Err(ArchiveRefusal::HasSession);
        }
        let mut link = link.clone();
        if self.archive {
            link.status = LinkStatus::Archived;
        }
        for (slot, value) in [
            (&mut link.facts.return_url, self.return_url),
            (&mut link.facts.success_url, self.success_url),
            (&mut link.facts.failure_url, self.failure_url),
        ] {
            match value {
                UrlChange::Keep => {}
                UrlChange::Remove => *slot = None,
                UrlChange::Set(url) => *slot = Some(url),
            }
        }
        if let Some(metadata) = self.metadata {
            link.metadata = metadata;
        }
        link.updated_at = now;
        link.version += 1;
        Ok(link)
    }
}
