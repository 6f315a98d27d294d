//! Letters to people: plain text from templates, written to the outbox first, then sent in the background.
//!
//! The outbox is a directory of files, `outbox/*.eml` below the data directory, so a letter survives whatever happens to
//! the process, operator commands may write letters too, and without a mail server an operator can read them there.

pub mod address;
mod letter;
pub mod letters;
mod outbox;
mod schedule;
mod transport;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use counterfoil_protocol::UnixTime;
use lettre::message::Mailbox;
use tokio::{sync::Notify, task};

pub use self::letter::{Letter, Message};
use self::{
    outbox::Outbox,
    schedule::Next,
    transport::{Sent, Transport},
};
use crate::{
    clock::{Clock, Entropy},
    config::Config,
    events,
};

/// How often the outbox is looked at without being asked to: operator commands write there from processes of their own.
const LOOK: Duration = Duration::from_secs(1);

/// Why a letter was not written.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Not an address that a letter can be sent to.
    #[error("that is no e-mail address that mail can be sent to")]
    Address,
    /// A subject with a line end or another control character: what follows it would be a header of its own.
    #[error("a subject must be one line")]
    Subject,
    /// The template failed, or the letter could not be put together.
    #[error("the letter could not be made: {0}")]
    Made(String),
    /// The outbox cannot be written.
    #[error("{}: {error}", path.display())]
    Outbox {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file that the settings name.
    #[error("{}: {error}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: io::Error,
    },
    /// The settings of the mail server.
    #[error("the mail server's settings cannot work: {0}")]
    Settings(String),
}

/// The outbox, and the way out of it.
pub struct Mail {
    outbox: Outbox,
    /// The way to the mail server. Without one, letters stay in the outbox.
    transport: Option<Transport>,
    from: Mailbox,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Rung when a letter was written.
    written: Notify,
    /// Letters that were not taken: how often they were tried, and when they are tried again.
    waiting: Mutex<HashMap<PathBuf, Next>>,
}

impl Mail {
    /// Opens the outbox below the data directory, and the way that the settings name.
    pub fn open(
        config: &Config,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
    ) -> Result<Self, MailError> {
        let from = config.mail.sender(&config.issuer).map_err(MailError::Settings)?;
        Ok(Self {
            outbox: Outbox::open(&config.data_dir)?,
            transport: Transport::open(&config.mail)?,
            from: Mailbox::new(Some(config.brand.name.clone()), from),
            clock,
            entropy,
            written: Notify::new(),
            waiting: Mutex::default(),
        })
    }

    /// Where letters wait, and whether they stay there because there is no mail server.
    #[must_use]
    pub fn outbox(&self) -> (&Path, bool) {
        (self.outbox.path(), self.transport.is_none())
    }

    /// How many letters wait.
    pub fn waiting_letters(&self) -> Result<usize, MailError> {
        Ok(self.outbox.letters()?.len())
    }

    /// Writes a letter to the outbox. When this returns it is on the disk; it is sent afterwards.
    pub async fn send(&self, message: Message) -> Result<(), MailError> {
        let id = self.entropy.id("");
        let bytes = message.to_bytes(&self.from, &id, self.clock.now())?;
        let path = self.outbox.name(self.clock.now(), &id);
        let written = path.clone();
        let write = task::spawn_blocking(move || crate::files::write_private(&written, &bytes));
        let written = write.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|error| MailError::Outbox { path, error })?;
        events::mail_written();
        self.written.notify_one();
        Ok(())
    }

    /// Sends what is in the outbox, for ever. Without a mail server it only clears away what is old.
    pub async fn run(&self) {
        loop {
            if let Err(error) = self.deliver().await {
                tracing::error!(%error, "the outbox could not be read");
            }
            let _ = tokio::time::timeout(LOOK, self.written.notified()).await;
        }
    }

    /// Tries every letter whose time has come, oldest first.
    async fn deliver(&self) -> Result<(), MailError> {
        let now = self.clock.now();
        let letters = self.outbox.letters()?;
        self.waiting().retain(|path, _| letters.iter().any(|(_, known)| known == path));
        for (written_at, path) in letters {
            if schedule::is_stale(written_at, now, self.transport.is_some()) {
                self.outbox.give_up(&path)?;
                if self.transport.is_some() {
                    events::mail_given_up("too_old");
                }
                continue;
            }
            let Some(transport) = &self.transport else { continue };
            let next = self.waiting().get(&path).copied().unwrap_or_default();
            if next.at <= now {
                self.try_once(transport, &path, next, now).await?;
            }
        }
        self.outbox.forget(now)
    }

    async fn try_once(
        &self,
        transport: &Transport,
        path: &Path,
        next: Next,
        now: UnixTime,
    ) -> Result<(), MailError> {
        let Some(letter) = outbox::read(path)? else { return Ok(()) };
        match transport.send(&self.from.email, &letter).await {
            Sent::Taken => {
                outbox::remove(path)?;
                events::mail_sent();
            }
            Sent::Refused(cause) => {
                self.outbox.give_up(path)?;
                tracing::warn!(cause, "the mail server refuses a letter");
                events::mail_given_up("refused");
            }
            Sent::NotNow(cause) => {
                let next = next.after_failure(now);
                tracing::info!(
                    cause,
                    again_at = next.at.0,
                    "the mail server did not take a letter"
                );
                self.waiting().insert(path.to_owned(), next);
            }
        }
        Ok(())
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Next>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
