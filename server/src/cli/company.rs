//! `company add` and `close`.

use anyhow::bail;
use serde_json::json;

use super::operator::{self, Operator};
use crate::store::{Accounts as _, Company};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Adds a company.
    Add {
        /// Its name, as merchants know it.
        #[arg(value_parser = operator::name)]
        name: String,
    },
    /// Closes a company: every connection to it ends, and nobody can approve for it any more.
    Close {
        /// Its name or id.
        company: String,
    },
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        match self {
            Self::Add { name } => add(operator, name),
            Self::Close { company } => close(operator, &company),
        }
    }
}

fn add(operator: &Operator, name: String) -> anyhow::Result<()> {
    let company = Company { id: operator.entropy.id("mco_company_"), name };
    let (id, name) = (company.id.clone(), company.name.clone());
    if !operator::wait(operator.store.add_company(company, operator.now))?? {
        bail!("there is a company {name:?} already");
    }
    operator.answer(
        &json!({ "company_id": id, "name": name }),
        &format!("company {name:?} added: {id}"),
    )
}

fn close(operator: &Operator, name: &str) -> anyhow::Result<()> {
    let company = operator::wait(operator.company(name))??;
    let ended =
        operator::wait(operator.store.close_company(&company.id, &operator.actor, operator.now))??;
    let Some(ended) = ended else { bail!("{name:?} was closed meanwhile") };
    operator.answer(
        &json!({ "company_id": company.id, "name": company.name, "closed": true, "connections_ended": ended }),
        &format!("company {:?} closed; connections ended: {ended}", company.name),
    )
}
