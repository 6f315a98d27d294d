//! `company add`.

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
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let Self::Add { name } = self;
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
}
