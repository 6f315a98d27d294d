//! `grant list` and `revoke`.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    confirm::Confirm,
    operator::{self, Operator, moment},
    part,
};
use crate::store::{GrantEnd, GrantFacts, GrantQuery, Operators as _};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists what companies allowed stores and applications.
    List(List),
    /// Ends a grant: its tokens stop working at once, and it gets no more notifications.
    Revoke {
        /// Its id, `mco_grant_…`.
        grant_id: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

#[derive(clap::Args)]
pub struct List {
    /// Only those of this company, by name or id.
    #[arg(long)]
    company: Option<String>,
    /// Only those of this store or application.
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    /// Those that are over as well.
    #[arg(long)]
    ended: bool,
    #[command(flatten)]
    part: part::Arguments,
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(async {
            match self {
                Self::List(which) => which.run(operator).await,
                Self::Revoke { grant_id, confirm } => revoke(operator, &grant_id, &confirm).await,
            }
        })?
    }
}

impl List {
    async fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let company = operator.narrowed_to(self.company.as_deref()).await?;
        let query = GrantQuery {
            company_id: company.as_deref(),
            client_id: self.client.as_deref(),
            ended: self.ended,
        };
        let grants = operator.store.grants(query, self.part.part()).await?;
        let next = self.part.next(grants.len(), grants.last().map(|last| &*last.id));
        let lines: Vec<_> = grants.iter().map(line).collect();
        let text = if lines.is_empty() { "no grants".to_owned() } else { lines.join("\n") };
        let values: Vec<_> = grants.iter().map(described).collect();
        operator.show(&json!({ "grants": values, "next_after": next }), &text)
    }
}

async fn revoke(operator: &Operator, id: &str, confirm: &Confirm) -> anyhow::Result<()> {
    let unknown = || format!("there is no grant {id:?}; see: grant list");
    let grant = operator.store.grant_facts(id).await?.with_context(unknown)?;
    if let Some(ended) = grant.ended_at {
        bail!("{id} is over since {}", moment(ended));
    }
    let GrantFacts { client_name, company, .. } = &grant;
    confirm.ask(&format!("1 connection ends: {client_name} at {:?}", company.name))?;
    match operator.store.revoke_grant(id, &operator.actor, operator.now).await? {
        GrantEnd::Done => {}
        GrantEnd::Over => bail!("{id} ended meanwhile"),
        GrantEnd::Unknown => bail!("{}", unknown()),
    }
    operator.answer(
        &json!({
            "grant_id": id, "client_id": grant.client_id, "company_id": company.id, "company": company.name,
            "connections_ended": 1,
        }),
        &format!("{id} revoked: {client_name} has no access to {:?} any more", company.name),
    )
}

fn line(grant: &GrantFacts) -> String {
    let state = match (grant.ended_at, &grant.ended_reason) {
        (Some(at), Some(reason)) => format!("ended {} ({reason})", moment(at)),
        (Some(at), None) => format!("ended {}", moment(at)),
        (None, _) => format!("approved {}", moment(grant.created_at)),
    };
    let GrantFacts { id, client_name, company, .. } = grant;
    format!("{id}  {client_name}  at {:?}, {state}", company.name)
}

fn described(grant: &GrantFacts) -> Value {
    json!({
        "grant_id": grant.id, "client_id": grant.client_id, "client": grant.client_name,
        "company_id": grant.company.id, "company": grant.company.name, "approved_by": grant.approved_by,
        "scope": grant.scope.to_string(), "approved_at": moment(grant.created_at),
        "redeemed_at": grant.redeemed_at.map(moment), "ended_at": grant.ended_at.map(moment),
        "ended_reason": grant.ended_reason, "last_access": grant.last_access.map(moment),
    })
}
