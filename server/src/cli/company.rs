//! `company add`, `list`, `show`, `rename`, `close` and `reopen`.

use std::fmt::Write as _;

use anyhow::{bail, ensure};
use serde_json::{Value, json};

use super::{
    confirm::{self, Confirm},
    operator::{self, Operator, counted, moment},
    part,
};
use crate::store::{
    Accounts as _, Company, CompanyFacts, Invitation, Operators as _, People as _, Renamed,
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Adds a company.
    Add {
        /// Its name, as merchants know it.
        #[arg(value_parser = operator::name)]
        name: String,
    },
    /// Lists companies by name, closed ones as well.
    List {
        #[command(flatten)]
        part: part::Arguments,
    },
    /// Shows a company.
    Show {
        /// Its name or id.
        company: String,
    },
    /// Gives a company another name. Its id stays, and everything that is connected.
    Rename {
        /// Its name or id.
        company: String,
        /// The other name, as merchants know it.
        #[arg(value_parser = operator::name)]
        name: String,
    },
    /// Closes a company: every connection to it ends, and nobody can approve for it any more.
    Close {
        /// Its name or id.
        company: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Opens a company that was closed. Its people and applications are back; the connections that ended are not.
    Reopen {
        /// Its name or id.
        company: String,
    },
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(async {
            match self {
                Self::Add { name } => add(operator, name).await,
                Self::List { part } => list(operator, &part).await,
                Self::Show { company } => show(operator, &company).await,
                Self::Rename { company, name } => rename(operator, &company, &name).await,
                Self::Close { company, confirm } => close(operator, &company, &confirm).await,
                Self::Reopen { company } => reopen(operator, &company).await,
            }
        })?
    }
}

async fn add(operator: &Operator, name: String) -> anyhow::Result<()> {
    let company = Company { id: operator.entropy.id("mco_company_"), name };
    let (id, name) = (company.id.clone(), company.name.clone());
    if !operator.store.found_company(company, &operator.actor, operator.now).await? {
        bail!("there is a company {name:?} already");
    }
    operator.answer(
        &json!({ "company_id": id, "name": name }),
        &format!("company {name:?} added: {id}"),
    )
}

async fn list(operator: &Operator, part: &part::Arguments) -> anyhow::Result<()> {
    let companies = operator.store.companies(part.part()).await?;
    let next = part.next(companies.len(), companies.last().map(|last| &*last.company.name));
    let lines: Vec<_> = companies.iter().map(line).collect();
    let text = if lines.is_empty() { "no companies".to_owned() } else { lines.join("\n") };
    let values: Vec<_> = companies.iter().map(described).collect();
    operator.show(&json!({ "companies": values, "next_after": next }), &text)
}

async fn show(operator: &Operator, name: &str) -> anyhow::Result<()> {
    let facts = operator.any_company(name).await?;
    let invited = operator.store.invitations(&facts.company.id, operator.now).await?;
    let mut text = line(&facts);
    let mut values = Vec::new();
    for Invitation { email, role, expires_at, .. } in &invited {
        let (role, until) = (role.as_str(), moment(*expires_at));
        let _ = write!(text, "\n  invited: {email} as {role}, until {until}");
        values.push(json!({ "email": email, "role": role, "expires_at": until }));
    }
    let mut value = described(&facts);
    value["invitations"] = values.into();
    operator.show(&value, &text)
}

async fn rename(operator: &Operator, company: &str, name: &str) -> anyhow::Result<()> {
    let Company { id, name: former } = operator.any_company(company).await?.company;
    match operator.store.rename_company(&id, name, &operator.actor, operator.now).await? {
        Renamed::Done => {}
        Renamed::Taken => bail!("there is a company {name:?} already"),
        Renamed::Unknown => bail!("{company:?} was removed meanwhile"),
    }
    operator.answer(
        &json!({ "company_id": id, "name": name, "former_name": former }),
        &format!("{former:?} is {name:?} now"),
    )
}

async fn close(operator: &Operator, name: &str, confirm: &Confirm) -> anyhow::Result<()> {
    let facts = operator.any_company(name).await?;
    let company = &facts.company;
    ensure!(facts.closed_at.is_none(), "{:?} is closed already", company.name);
    let ending = confirm::connections(usize::try_from(facts.connections).unwrap_or(usize::MAX));
    confirm.ask(&format!("{:?} is closed, and {ending}", company.name))?;
    let ended = operator.store.close_company(&company.id, &operator.actor, operator.now).await?;
    let Some(ended) = ended else { bail!("{name:?} was closed meanwhile") };
    operator.answer(
        &json!({ "company_id": company.id, "name": company.name, "closed": true, "connections_ended": ended }),
        &format!("company {:?} closed; connections ended: {ended}", company.name),
    )
}

async fn reopen(operator: &Operator, name: &str) -> anyhow::Result<()> {
    let Company { id, name } = operator.any_company(name).await?.company;
    let reopened = operator.store.reopen_company(&id, &operator.actor, operator.now).await?;
    ensure!(reopened, "{name:?} is not closed");
    operator.answer(
        &json!({ "company_id": id, "name": name, "reopened": true }),
        &format!("company {name:?} is open again; what was connected must be connected anew"),
    )
}

fn line(facts: &CompanyFacts) -> String {
    let CompanyFacts { company, closed_at, people, connections, .. } = facts;
    let closed = closed_at.map(|at| format!(", closed {}", moment(at))).unwrap_or_default();
    let people = counted(*people, "person", "people");
    let connections = counted(*connections, "connection", "connections");
    format!("{}  {:?}: {people}, {connections}{closed}", company.id, company.name)
}

fn described(facts: &CompanyFacts) -> Value {
    json!({
        "company_id": facts.company.id, "name": facts.company.name, "created_at": moment(facts.created_at),
        "closed_at": facts.closed_at.map(moment), "people": facts.people, "connections": facts.connections,
    })
}
