//! Changes to a payment link.

use counterfoil_protocol::{UnixTime, callback::LocalHosts};

use super::{LinkStatus, PaymentLink};
use crate::partner::{
    json::Json,
    members::{Fault, Members},
};

/// Everything that can be changed.
const PATCHABLE: [&str; 5] = ["status", "returnUrl", "successUrl", "failureUrl", "metadata"];

/// A change of a payment link; what is `None` stays.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkPatch {
    /// Puts the link away.
    pub archive: bool,
    /// Another address, or none any more.
    pub return_url: Option<Option<String>>,
    /// Another address, or none any more.
    pub success_url: Option<Option<String>>,
    /// Another address, or none any more.
    pub failure_url: Option<Option<String>>,
    /// Other data in place of the store's own.
    pub metadata: Option<Json>,
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
        if let Some(unknown) = body.names().find(|name| !PATCHABLE.contains(name)) {
            return Err(body.fault(unknown, "left out: it cannot be changed"));
        }
        let url = |name: &str| match body.url(name, local)? {
            None if !body.is_null(name) => Ok(None),
            value => Ok(Some(value)),
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
            metadata: body.object("metadata")?,
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
            if let Some(value) = value {
                *slot = value;
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
