//! `init`: a company, and a link with which its first owner chooses a password.

use anyhow::{bail, ensure};
use counterfoil_protocol::encoding::sha256;
use serde_json::json;

use super::{
    mail::email,
    operator::{self, Operator, moment},
};
use crate::{
    config, data,
    people::role::Role,
    store::{Company, Invitation, Invited, Operators as _, People as _},
};

/// Seconds for which the link works.
const LIFETIME: i64 = 7 * 24 * 3_600;

#[derive(clap::Args)]
pub struct Arguments {
    /// The company, as merchants know it.
    #[arg(long, value_parser = operator::name)]
    company: String,
    /// The address of its first owner.
    #[arg(long, value_parser = email)]
    email: String,
    /// The public origin of this server, with which the link begins, unless the settings say it.
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
}

impl Arguments {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(self.begin(operator))?
    }

    async fn begin(self, operator: &Operator) -> anyhow::Result<()> {
        if config::served_issuer(&operator.config.data_dir).is_none() {
            data::remember_issuer(&operator.config.data_dir, &operator.config.issuer)?;
        }
        let company = self.company(operator).await?;
        let people = operator.store.people(&company.id).await?;
        ensure!(
            people.iter().all(|person| person.role != Role::Owner),
            "{:?} has an owner already, who can invite others",
            company.name
        );
        let token = operator.entropy.secret("");
        let invitation = Invitation {
            id: operator.entropy.id("mco_invite_"),
            hash: sha256(token.as_bytes()),
            company,
            email: self.email,
            role: Role::Owner,
            created_at: operator.now,
            expires_at: operator.now + LIFETIME,
        };
        let Invitation { company, email, .. } = invitation.clone();
        match operator.store.invite(invitation, &operator.actor).await? {
            Invited::Done => {}
            Invited::Member => bail!("{email} acts for {:?} already", company.name),
            Invited::TooMany => bail!("too many invitations to {:?} wait", company.name),
            Invited::NotAllowed => bail!("{:?} was closed meanwhile", company.name),
        }
        let link = format!("{}/invitation?token={token}", operator.config.issuer);
        operator.answer(
            &json!({ "company_id": company.id, "company": company.name, "email": email, "link": link, "expires_at": moment(operator.now + LIFETIME) }),
            &format!(
                "company {:?} is there. While the server runs, {email} opens this link, once, within 7 days, and chooses a password:\n\n{link}\n\nRun this again for a new link; the one before is dead then.",
                company.name
            ),
        )
    }

    /// The company of this name, made when there is none.
    async fn company(&self, operator: &Operator) -> anyhow::Result<Company> {
        let id = operator.entropy.id("mco_company_");
        let company = Company { id, name: self.company.clone() };
        if operator.store.found_company(company.clone(), &operator.actor, operator.now).await? {
            return Ok(company);
        }
        operator.company(&self.company).await
    }
}
