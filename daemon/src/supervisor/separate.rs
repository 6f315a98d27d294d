//! A copy becomes a store of its own: another key, another identity, an empty journal. The server hears nothing of it.

use std::sync::Arc;

use super::Supervisor;
use crate::{
    actor::Leftovers,
    events,
    key::StoreKind,
    session::Leftover,
    situation::{Life, Situation},
    trouble::{Code, Trouble},
};

/// Whether a store keeps its keys where an original has its own: a new one would take that one's place.
pub(super) fn may_be_the_originals(store: StoreKind) -> bool {
    // What a TPM has made lies wrapped in the state directory.
    match store {
        StoreKind::Pkcs11 => true,
        StoreKind::File | StoreKind::Tpm => false,
    }
}

impl Supervisor {
    /// Gives up the installation and makes another. A kill at any point leaves the one or the other, whole.
    ///
    /// Answers what stands at the server of an installation that was no copy, and that nobody will know of any more.
    pub(super) async fn separate(&mut self, abandon: bool) -> Result<Option<Leftover>, Trouble> {
        let before = Arc::clone(&self.situations.borrow());
        let session = before.working()?.actor.session();
        let is_copy = session.is_in_safe_mode(&before.config);
        if !is_copy && !abandon {
            return Err(Trouble::of(Code::NotInSafeMode));
        }
        if may_be_the_originals(before.config.key.store) {
            return Err(Trouble::of(Code::SeparateRefused));
        }
        let leftovers = match self.inside.take() {
            Some(inside) => inside.end().await,
            None => Leftovers::default(),
        };
        let custody = Arc::clone(&self.custody);
        let given_up = tokio::task::spawn_blocking(move || custody.give_up()).await;
        let given_up = given_up.map_err(std::io::Error::other).flatten();
        // Outcomes of the old installation's steps mean nothing to the new one.
        let leftovers = if given_up.is_ok() { Leftovers::default() } else { leftovers };
        let life = self.build(&before.config, leftovers).await;
        let is_there = matches!(life, Life::Working(_));
        let (config, guests) = (Arc::clone(&before.config), Arc::clone(&before.guests));
        let file = before.file.clone();
        self.situations.send_replace(Arc::new(Situation { config, guests, file, life }));
        match given_up {
            Ok(()) if is_there => {
                events::separated();
                Ok(session.leftover().filter(|_| !is_copy))
            }
            Ok(()) => Err(Trouble::of(Code::Degraded)),
            Err(error) => {
                events::storage_failed(&error);
                Err(Trouble::of(Code::StorageFailed))
            }
        }
    }
}
