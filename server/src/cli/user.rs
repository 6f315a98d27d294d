//! `user add`, `list`, `show`, `disable`, `enable`, `remove` and `reset-codes`.

mod others;

use std::io::{self, Read as _};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use counterfoil_protocol::secret::Secret;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    confirm::Confirm,
    mail::email,
    operator::{self, Operator},
    part,
};
use crate::{
    password,
    people::role::Role,
    store::{Accounts as _, Operators as _, User},
};

/// The shortest password of a new person, in characters (NIST SP 800-63B §5.1.1).
const MIN_PASSWORD: usize = 8;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Adds a person to a company. One who is known gets a place in another company, or another role.
    Add(Add),
    /// Lists people by address, those who are shut out as well.
    List {
        /// Only those who act for this company, by name or id.
        #[arg(long)]
        company: Option<String>,
        #[command(flatten)]
        part: part::Arguments,
    },
    /// Shows a person.
    Show {
        /// The address the person signs in with.
        #[arg(value_parser = email)]
        email: String,
    },
    /// Shuts a person out, at once and everywhere. What they approved stays connected.
    Disable {
        /// The address the person signs in with.
        #[arg(value_parser = email)]
        email: String,
    },
    /// Lets a person in again who was shut out.
    Enable {
        /// The address the person signs in with.
        #[arg(value_parser = email)]
        email: String,
    },
    /// Turns a person's one-time codes off who lost phone and recovery codes, signs them out everywhere, and tells them by
    /// mail.
    ResetCodes {
        /// The address the person signs in with.
        #[arg(value_parser = email)]
        email: String,
        /// The public origin of this server, for the link in the letter, unless the settings say it.
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Takes a person's place in a company away. What they approved stays connected.
    Remove {
        /// The address the person signs in with.
        #[arg(value_parser = email)]
        email: String,
        /// The company, by name or id.
        #[arg(long)]
        company: String,
    },
}

#[derive(clap::Args)]
pub struct Add {
    /// The address the person signs in with.
    #[arg(long, value_parser = email)]
    email: String,
    /// The company, by name or id.
    #[arg(long)]
    company: String,
    /// What the person may do.
    #[arg(long, default_value = "admin")]
    role: RoleName,
    /// Reads the password from stdin. Needed for a new person; of one who is known it must be the right one.
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    /// Does everything, and alone makes and removes owners.
    Owner,
    /// Does everything but that: approves and ends connections, manages applications and people.
    Admin,
    /// Looks at applications, connections and deliveries.
    Developer,
    /// Looks at connections and their history.
    Support,
}

impl Command {
    /// The issuer, where it is an argument.
    pub fn issuer(&self) -> Option<String> {
        if let Self::ResetCodes { issuer, .. } = self { issuer.clone() } else { None }
    }

    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(async {
            match self {
                Self::Add(add) => {
                    let password =
                        add.password_stdin.then(|| read_password(io::stdin())).transpose()?;
                    add.run(operator, password).await
                }
                Self::List { company, part } => {
                    others::list(operator, company.as_deref(), &part).await
                }
                Self::Show { email } => others::show(operator, &email).await,
                Self::Disable { email } => others::disable(operator, &email).await,
                Self::Enable { email } => others::enable(operator, &email).await,
                Self::ResetCodes { email, confirm, .. } => {
                    others::reset_codes(operator, &email, &confirm).await
                }
                Self::Remove { email, company } => others::remove(operator, &email, &company).await,
            }
        })?
    }
}

impl Add {
    async fn run(self, operator: &Operator, password: Option<Secret>) -> anyhow::Result<()> {
        let company = operator.company(&self.company).await?;
        let (user, added) = match operator.store.user_by_email(&self.email).await? {
            Some(user) => (user, false),
            None => self.create(operator, password.as_ref()).await?,
        };
        if let Some(password) = password.filter(|_| !added) {
            let matches = password::verify(Some(user.password_hash), password).await?;
            ensure!(matches, "{} is known, with another password; nothing was changed", self.email);
        }
        let role = match self.role {
            RoleName::Owner => Role::Owner,
            RoleName::Admin => Role::Admin,
            RoleName::Developer => Role::Developer,
            RoleName::Support => Role::Support,
        };
        let Operator { store, actor, now, .. } = operator;
        store.place(&user.id, &company.id, role, actor, *now).await?;
        operator.answer(
            &json!({
                "user_id": user.id, "email": self.email, "company_id": company.id, "company": company.name,
                "role": role.as_str(), "created": added,
            }),
            &format!(
                "{} {}: {} of {:?}",
                self.email,
                if added { "added" } else { "is known" },
                role.as_str(),
                company.name
            ),
        )
    }

    /// Adds the person; whoever added the same address meanwhile was first.
    async fn create(
        &self,
        operator: &Operator,
        password: Option<&Secret>,
    ) -> anyhow::Result<(User, bool)> {
        let Some(password) = password else {
            bail!("{} is new: give --password-stdin and the password on stdin", self.email);
        };
        ensure!(
            password.expose().chars().count() >= MIN_PASSWORD,
            "the password is too short: it needs at least {MIN_PASSWORD} characters"
        );
        let user = User {
            id: operator.entropy.id("mco_user_"),
            email: self.email.clone(),
            password_hash: password::hash(password, &*operator.entropy)?,
            disabled_at: None,
        };
        if operator.store.enroll(user.clone(), &operator.actor, operator.now).await? {
            return Ok((user, true));
        }
        let known = operator.store.user_by_email(&self.email).await?;
        Ok((known.context("the person was removed meanwhile")?, false))
    }
}

/// Reads a password: all of `input` but the final line end.
fn read_password(input: impl io::Read) -> anyhow::Result<Secret> {
    let mut text = Zeroizing::new(String::new());
    let limit = password::MAX_LENGTH as u64 + 2;
    input.take(limit).read_to_string(&mut text).context("cannot read the password from stdin")?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    ensure!(!password.is_empty(), "there is no password on stdin");
    ensure!(!password.contains(['\n', '\0']), "the password on stdin must be one line");
    Ok(Secret::new(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_on_stdin() {
        let read = |text: &str| {
            read_password(text.as_bytes()).ok().map(|password| password.expose().to_owned())
        };
        for text in ["s p a c e ", "s p a c e \n", "s p a c e \r\n"] {
            assert_eq!(read(text).as_deref(), Some("s p a c e "));
        }
        for text in ["", "\n", "one\ntwo\n", "nul\0"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
