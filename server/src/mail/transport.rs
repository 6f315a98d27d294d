//! The way to a mail server: SMTP, with TLS from the start, by STARTTLS, or none on this machine.

use std::time::Duration;

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    address::Envelope,
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
        extension::ClientId,
        response::Category,
    },
};

use super::{MailError, letter};
use crate::{
    config::{Mail as Settings, MailTls},
    files,
};

/// How long the server may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The longest password, in bytes.
const MAX_PASSWORD: usize = 1_024;

/// The way to a mail server. A connection is made for each letter: they are few.
pub struct Transport(AsyncSmtpTransport<Tokio1Executor>);

/// What became of a letter.
pub enum Sent {
    /// The server has it.
    Taken,
    /// The server will never take it.
    Refused(String),
    /// It may be tried again.
    NotNow(String),
}

impl Transport {
    /// The way that the settings name, if they name a server.
    pub fn open(settings: &Settings) -> Result<Option<Self>, MailError> {
        let Some(host) = &settings.host else { return Ok(None) };
        let secured = || {
            TlsParameters::new(host.clone()).map_err(|error| MailError::Settings(error.to_string()))
        };
        let tls = match settings.tls {
            MailTls::Starttls => Tls::Required(secured()?),
            MailTls::Tls => Tls::Wrapper(secured()?),
            MailTls::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(settings.port())
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some(from) = &settings.from
            && let Some((_, domain)) = from.split_once('@')
        {
            builder = builder.hello_name(ClientId::Domain(domain.to_owned()));
        }
        if let (Some(user), Some(file)) = (&settings.user, &settings.password_file) {
            let password = files::secret_line(file, MAX_PASSWORD)
                .map_err(|error| MailError::PasswordFile { path: file.clone(), error })?;
            let credentials = Credentials::new(user.clone(), password.as_str().to_owned());
            builder = builder.credentials(credentials);
        }
        Ok(Some(Self(builder.build())))
    }

    /// Hands a letter over.
    pub async fn send(&self, from: &Address, letter: &[u8]) -> Sent {
        let Some(to) = letter::recipient(letter) else {
            return Sent::Refused("it has no recipient".to_owned());
        };
        let envelope = match Envelope::new(Some(from.clone()), vec![to]) {
            Ok(envelope) => envelope,
            Err(error) => return Sent::Refused(error.to_string()),
        };
        match self.0.send_raw(&envelope, letter).await {
            Ok(_) => Sent::Taken,
            // A server that does not know us (530, 535) refuses the operator's settings, not the letter.
            Err(error) if error.is_permanent() && !is_about_sign_in(&error) => {
                Sent::Refused(causes(&error))
            }
            Err(error) => Sent::NotNow(causes(&error)),
        }
    }
}

fn is_about_sign_in(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| code.category == Category::Unspecified3)
}

/// An error with what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text.replace(|c: char| c.is_control(), " ")
}
