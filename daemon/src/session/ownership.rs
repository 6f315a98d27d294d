//! Whether this store answers a challenge that came to its own address.

use counterfoil_protocol::ownership::{Ownership, is_nonce};

use super::{Context, Session};
use crate::trouble::{Code, Trouble};

impl Session {
    /// What is to be signed for a server that asks whose store this is: only for the server and address of the store's
    /// file, the installation that we are there, and a nonce that could be nothing else. Nothing in safe mode.
    pub(crate) fn ownership<'a>(
        &self,
        nonce: &'a str,
        client_id: &'a str,
        cx: &Context<'a>,
    ) -> Result<Ownership<'a>, Trouble> {
        if self.is_in_safe_mode(cx.config) {
            return Err(self.safe_mode_trouble(cx));
        }
        let facts = &self.facts;
        let connection = facts.connection.as_ref().map(|connection| &connection.client_id);
        let registration = facts.registration.as_ref().map(|registration| &registration.client_id);
        let is_ours = connection.into_iter().chain(registration).any(|ours| ours == client_id);
        if !is_ours || !is_nonce(nonce) {
            return Err(Trouble::of(Code::OwnershipRefused));
        }
        let (issuer, site_url) = (&cx.config.issuer, &cx.config.site_url);
        Ok(Ownership { issuer, client_id, site_url, nonce })
    }
}
