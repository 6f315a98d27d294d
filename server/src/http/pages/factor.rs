//! Codes of a second factor, checked and used up, with a letter when something is out of the ordinary.

use axum::http::StatusCode;
use counterfoil_protocol::secret::Secret;
use zeroize::Zeroizing;

use super::{moment::Moment, problem::Problem};
use crate::{
    app::App,
    events,
    http::error::Refusal,
    mail::{Message, letters},
    people::second_factor::{FactorOutcome, SecondFactor},
    store::{FactorUse, User},
    vault::Purpose,
};

/// How often a code is judged anew when somebody else used one meanwhile.
const ATTEMPTS: usize = 3;

/// What a page says of a wrong code, in its field `code`.
#[must_use]
pub fn wrong() -> Problem {
    let sentence = "This code is not right, or was used before. Wait for the next one.";
    Problem::new(StatusCode::FORBIDDEN, sentence).of("code")
}

/// What a page says while no code is looked at.
#[must_use]
pub fn locked() -> Problem {
    let sentence = "Too many codes were wrong. Wait a quarter of an hour, then try again.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, sentence)
}

impl App {
    /// A person's second factor, if one is in use.
    pub async fn factor_of(&self, user_id: &str) -> Result<Option<SecondFactor>, Refusal> {
        let factor = self.store.second_factor(user_id).await?;
        Ok(factor.filter(|factor| factor.confirmed_at.is_some()))
    }

    /// The secret of a second factor.
    pub fn open_factor(&self, factor: &SecondFactor) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let opened = self.vault.open(Purpose::SecondFactor, &factor.sealed);
        opened.map_err(Refusal::server_error)
    }

    /// Checks a code and uses it up. Without a second factor in use no code is right. `Err` is for the page.
    pub async fn check_code(
        &self,
        user: &User,
        typed: &Secret,
    ) -> Result<Result<(), Problem>, Refusal> {
        for _ in 0..ATTEMPTS {
            let Some(seen) = self.factor_of(&user.id).await? else { return Ok(Err(wrong())) };
            let becomes = seen.judge(&self.open_factor(&seen)?, typed.expose(), self.now());
            if let FactorOutcome::Locked { .. } = becomes {
                return Ok(Err(locked()));
            }
            let (user_id, now) = (user.id.clone(), self.now());
            let left = seen.recovery_codes.len().saturating_sub(1);
            if !self.store.use_factor(FactorUse { user_id, seen, becomes, now }).await? {
                continue;
            }
            if becomes.locks() {
                events::second_factor_locked(&user.id);
                self.notify(user, "Somebody who knows your password typed five wrong codes, so no code is taken for a quarter of an hour.", "change your password at once.").await;
                return Ok(Err(locked()));
            }
            if let FactorOutcome::Recovery(_) = becomes {
                let what = format!(
                    "A recovery code was used in the place of a code from your app. {left} are left."
                );
                self.notify(user, &what, "change your password, and set codes up anew.").await;
            }
            return Ok(if becomes.is_right() { Ok(()) } else { Err(wrong()) });
        }
        Ok(Err(wrong()))
    }

    /// Tells a person by mail that something about the account was changed.
    pub async fn notify(&self, user: &User, what: &str, otherwise: &str) {
        let (link, at) =
            (format!("{}/account", self.config.issuer), Moment::from(self.now()).to_string());
        let brand = &self.config.brand.name;
        let letter = letters::Notice { brand, what, otherwise, link: &link, at: &at };
        self.post(Message::new(&user.email, &letter)).await;
    }

    /// Writes a letter; that it cannot be written is told in the log, and is no reason to refuse what it is about.
    pub async fn post(&self, letter: Result<Message, crate::mail::MailError>) {
        let written = match letter {
            Ok(letter) => self.mail.send(letter).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::error!(%error, "a letter was not written");
        }
    }
}
