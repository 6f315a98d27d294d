//! `mail test`.

use askama::Template;
use serde_json::json;

use super::operator::{self, Operator};
use crate::mail::{Letter, Message, address};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Writes a letter to an address, so that you see whether mail arrives.
    Test {
        /// The address.
        #[arg(value_parser = email)]
        to: String,
    },
}

/// The letter that asks for nothing.
#[derive(Template)]
#[template(path = "mail/test.txt")]
struct Test<'a> {
    brand: &'a str,
    issuer: &'a str,
}

impl Letter for Test<'_> {
    fn subject(&self) -> String {
        format!("{}: mail works", self.brand)
    }
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let Self::Test { to } = self;
        let config = &operator.config;
        let letter =
            Message::new(&to, &Test { brand: &config.brand.name, issuer: &config.issuer })?;
        operator::wait(operator.mail.send(letter))??;
        let (outbox, stays) = operator.mail.outbox();
        let next = if stays {
            "no mail server is configured, so it stays there"
        } else {
            "the running server sends it within seconds"
        };
        operator.answer(
            &json!({ "to": to, "outbox": outbox, "sent_by_server": !stays }),
            &format!("a letter to {to} is in {}; {next}", outbox.display()),
        )
    }
}

/// An address that mail can be sent to.
pub fn email(text: &str) -> Result<String, String> {
    address::normal(text).ok_or_else(|| "that is no e-mail address".to_owned())
}
