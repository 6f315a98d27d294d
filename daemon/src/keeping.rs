//! Whether the key that the daemon works with is still where its next start looks for it.
//!
//! A key of a file is read once and signs from memory, so a file that is lost, spoiled or opened to others is noticed
//! by nobody before the next start ends the connection. It is looked at when somebody asks how it is, never for a
//! proof or a call; while the key is still in memory, most of these can be mended without the merchant.

use std::{path::Path, sync::Arc, time::Duration};

use counterfoil_protocol::jwk::Thumbprint;
use serde::Serialize;
use tokio::sync::{Mutex, watch};

use crate::{
    advice::quoted,
    key::{KeyError, Keyring, Looked},
    session::{NOTHING_TO_DO, NextKey, State},
    situation::Told,
};

/// How long the answer to a question waits for the disk. One that hangs is told otherwise.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the file of a key is found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyFile {
    /// What is in it is no whole key.
    Damaged,
    /// Its whole directory is gone.
    DirectoryGone,
    /// Others may read it, so that it is not used.
    Exposed,
    /// It is gone.
    Gone,
    /// The next start finds the key in it.
    InOrder,
    /// It holds another key.
    Other,
    /// The daemon may not read it, or the disk does not give it.
    Unreadable,
}

/// A key that is only in memory any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unkept {
    /// Which.
    key: Thumbprint,
    /// How its file was found.
    pub(crate) file: KeyFile,
    /// Where the file is, or was.
    place: String,
    /// The number of the daemon's user.
    user: u32,
}

/// Looks after the file of the key in force.
#[derive(Debug)]
pub(crate) struct Keeping {
    keys: Arc<Keyring>,
    /// What was found last.
    seen: watch::Sender<Option<Unkept>>,
    /// Held by the look that is under way: a disk that hangs holds up one of them, not one for each who asks.
    turn: Arc<Mutex<()>>,
}

impl Keeping {
    /// Nothing is looked at yet.
    pub(crate) fn of(keys: Arc<Keyring>) -> Arc<Self> {
        let (seen, _) = watch::channel(None);
        Arc::new(Self { keys, seen, turn: Arc::default() })
    }

    /// Looks now; waits no longer than a moment.
    pub(crate) async fn look(self: &Arc<Self>) {
        let looking = async {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let this = Arc::clone(self);
            let look = tokio::task::spawn_blocking(move || {
                this.found(judge(&this.keys));
                drop(turn);
            });
            let _ = look.await;
        };
        let _ = tokio::time::timeout(PATIENCE, looking).await;
    }

    fn found(&self, found: Option<Unkept>) {
        self.seen.send_if_modified(|seen| {
            let is_new = *seen != found;
            if let Some(unkept) = found.as_ref().filter(|_| is_new) {
                tracing::warn!(place = unkept.place, "{}", unkept.sentence());
            }
            *seen = found;
            is_new
        });
    }

    /// The key in force, if it was in memory alone when somebody looked last.
    pub(crate) fn unkept(&self) -> Option<Unkept> {
        let current = *self.keys.current().thumbprint();
        self.seen.borrow().clone().filter(|unkept| unkept.key == current)
    }

    /// Sees every change of what is found.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Unkept>> {
        self.seen.subscribe()
    }
}

/// How it stands with the file of the key in force; `None` where it is in order, and where there is none. Blocks.
fn judge(keys: &Keyring) -> Option<Unkept> {
    let Looked { key, place, is_there } = keys.look()?;
    let file = match is_there {
        Ok(true) => return None,
        Err(KeyError::Exposed { .. }) => KeyFile::Exposed,
        Err(KeyError::Storage { .. }) => KeyFile::Unreadable,
        Err(_) => KeyFile::Damaged,
        Ok(false) if Path::new(&place).exists() => KeyFile::Other,
        Ok(false) if Path::new(&place).parent().is_some_and(Path::exists) => KeyFile::Gone,
        Ok(false) => KeyFile::DirectoryGone,
    };
    let user = rustix::process::geteuid().as_raw();
    Some(Unkept { key, file, place, user })
}

impl Unkept {
    /// What is wrong, and what it means, for everybody.
    fn sentence(&self) -> String {
        let how = match self.file {
            KeyFile::Damaged => "The file of this store's key is damaged",
            KeyFile::DirectoryGone => "The state directory with this store's key is gone",
            KeyFile::Exposed => "The file of this store's key can be read by others",
            KeyFile::Gone | KeyFile::InOrder => "The file of this store's key is gone",
            KeyFile::Other => "The file of this store's key holds another key",
            KeyFile::Unreadable => "The file of this store's key cannot be read",
        };
        format!(
            "{how}: the daemon works with the key in its memory, and after its next start nothing would work."
        )
    }

    /// How the file is put in order again.
    fn mend(&self) -> String {
        let place = quoted(&self.place);
        match self.file {
            KeyFile::Damaged | KeyFile::Other => {
                format!("Put the right file back from a backup: {place}")
            }
            KeyFile::DirectoryGone => "Put the whole state directory back where it was".to_owned(),
            KeyFile::Exposed => format!("Run: chmod 600 {place}"),
            KeyFile::Gone | KeyFile::InOrder => format!("Put the file back: {place}"),
            KeyFile::Unreadable => {
                format!("Run: chown {} {place} && chmod 600 {place}", self.user)
            }
        }
    }

    /// What else can be done while the key is in memory.
    fn otherwise(&self, state: State, next: Option<NextKey>) -> Option<&'static str> {
        let asking = next.map(|next| next.asking);
        Some(match (self.file, state, asking) {
            (KeyFile::DirectoryGone, ..) => "without it, restart and press Connect",
            (KeyFile::Exposed, State::Connected, None) => {
                "if others may have read it, then also: counterfoild key rotate"
            }
            (_, State::SafeMode | State::Degraded, _)
            | (KeyFile::Exposed | KeyFile::Unreadable, ..) => return None,
            (_, State::DisconnectPending, _) => {
                "if it is lost, let the daemon run until the payment platform has confirmed the end"
            }
            (_, State::AwaitingApproval, None) => {
                "if it is lost, finish the approval and then have another key put in force: counterfoild key rotate"
            }
            (_, State::AwaitingApproval, Some(_)) => {
                "if it is lost, finish the approval: it puts the next key in force"
            }
            (_, _, Some(true)) => {
                "if it is lost, wait: the payment platform is being asked to take the next key (counterfoild key show says how far it is)"
            }
            (_, _, Some(false)) => {
                "if it is lost, press Connect: the approval puts the next key in force"
            }
            (_, State::Connected, None) => {
                "if it is lost, have another key put in force while the daemon has this one: counterfoild key rotate"
            }
            (_, _, None) => {
                "if it is lost, have another key made while the daemon has this one, and then press Connect: counterfoild key rotate"
            }
        })
    }

    /// What to do about it, and about what else there is to do.
    fn next_step(&self, state: State, next: Option<NextKey>, besides: &str) -> String {
        let mut told = format!("Do not restart the daemon yet. {}", self.mend());
        if let Some(otherwise) = self.otherwise(state, next) {
            told.push_str("; ");
            told.push_str(otherwise);
        }
        let covered = [State::Unregistered, State::Disconnected, State::ReconnectRequired];
        if besides != NOTHING_TO_DO && !covered.contains(&state) {
            told.push_str(". Then: ");
            told.push_str(besides);
        }
        told
    }

    /// The words of the owner's status with this added.
    pub(crate) fn told_to_owner(&self, told: &Told, next: Option<NextKey>) -> Told {
        let summary = format!("{} {}", told.summary, self.sentence());
        let next_step = self.next_step(told.state, next, &told.next_step);
        Told { state: told.state, summary, next_step }
    }

    /// The words for plugins with this added: no command with a place, and whom to ask.
    pub(crate) fn told_to_guest(&self, told: &Told) -> Told {
        const ASK: &str = "Ask whoever runs the store's machine to run counterfoild status there before the daemon is restarted: it says what to do.";
        let summary = format!("{} {}", told.summary, self.sentence());
        let next_step = if told.next_step == NOTHING_TO_DO {
            ASK.to_owned()
        } else {
            format!("{}. {ASK}", told.next_step.trim_end_matches('.'))
        };
        Told { state: told.state, summary, next_step }
    }
}

#[cfg(test)]
mod tests;
