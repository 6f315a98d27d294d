//! `payment-link list`, `show` and `set-status`.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{
    operator::{self, Operator, moment},
    part,
};
use crate::{
    partner::{
        amount::Amount,
        link::{LinkStatus, PaymentLink},
        payment::{PaymentStatus, Report},
    },
    payments::{self, Reported, Reporting},
    store::{GrantFacts, LinkFacts, LinkQuery, Operators as _, Partner as _},
    webhooks::payload::Seed,
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists payment links, newest first.
    List(List),
    /// Shows a payment link, whose it is, and where its payment stands.
    Show {
        /// The payment link: `pl_…`
        uid: String,
    },
    /// Says how a payment moved, as the payment engine does, and so tells its store.
    SetStatus {
        /// The payment link: `pl_…`
        uid: String,
        /// Where its payment stands: quoted, `awaiting_deposit`, pending, `deposit_received`, swapping, sending, underpaid,
        /// complete, failed, expired, cancelled
        #[arg(value_parser = status)]
        status: PaymentStatus,
        /// What was received, in what the link asks for: `49.90`
        #[arg(long, value_parser = amount)]
        amount: Option<Amount>,
        /// The attempt to pay, by the engine's name; the newest one without it.
        #[arg(long)]
        session: Option<String>,
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
    /// Only those that stand so: active, archived
    #[arg(long, value_parser = link_status)]
    status: Option<LinkStatus>,
    /// Only those whose newest payment stands so: complete, failed and so on, as `set-status` takes it
    #[arg(long, value_name = "STATUS", value_parser = status)]
    payment: Option<PaymentStatus>,
    #[command(flatten)]
    part: part::Arguments,
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(async {
            match self {
                Self::List(which) => which.run(operator).await,
                Self::Show { uid } => show(operator, &uid).await,
                Self::SetStatus { uid, status, amount, session } => {
                    let report = Report { status, amount, settlement: None, session };
                    set_status(operator, &uid, report).await
                }
            }
        })?
    }
}

impl List {
    async fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let company = operator.narrowed_to(self.company.as_deref()).await?;
        let known = async |uid: &str| Ok(operator.store.payment_link(uid).await?.is_some());
        self.part.begins("payment link", known).await?;
        let query = LinkQuery {
            company_id: company.as_deref(),
            client_id: self.client.as_deref(),
            status: self.status,
            payment: self.payment,
        };
        let found = operator.store.all_payment_links(query, self.part.part()).await?;
        let next = self.part.next(found.len(), found.last().map(|last| &*last.link.uid));
        let lines: Vec<_> = found.iter().map(line).collect();
        let text = if lines.is_empty() { "no payment links".to_owned() } else { lines.join("\n") };
        let values: Vec<_> = found.iter().map(described).collect();
        operator.show(&json!({ "payment_links": values, "next_after": next }), &text)
    }
}

fn line(facts: &LinkFacts) -> String {
    let LinkFacts { link, client_name, company, .. } = facts;
    let title = title(link, client_name, &company.name);
    format!("{} {title}", moment(link.created_at))
}

fn described(facts: &LinkFacts) -> Value {
    let LinkFacts { link, client_id, client_name, company } = facts;
    json!({
        "uid": link.uid, "status": link.status.as_str(), "amount": link.amount, "fiat_currency": link.facts.fiat_currency,
        "currency": link.facts.currency, "asset": link.facts.asset, "order_id": link.facts.order_id,
        "payment": link.latest().map(|session| session.status.as_str()), "created_at": moment(link.created_at),
        "updated_at": moment(link.updated_at), "grant_id": link.grant_id, "client_id": client_id, "client": client_name,
        "company_id": company.id, "company": company.name,
    })
}

/// A link as one line for people.
fn title(link: &PaymentLink, client: &str, company: &str) -> String {
    let session = link.latest();
    let payment = session.as_ref().map_or("none yet", |session| session.status.as_str());
    let facts = &link.facts;
    let currency = facts.fiat_currency.as_deref().or(facts.asset.as_deref());
    let currency = currency.or(facts.currency.as_deref()).unwrap_or_default();
    let (uid, amount, status) = (&link.uid, &link.amount, link.status.as_str());
    format!(
        "{uid}: {amount} {currency}, {status}, of {client} at {company:?}; its payment: {payment}"
    )
}

async fn show(operator: &Operator, uid: &str) -> anyhow::Result<()> {
    let link = operator.store.payment_link(uid).await?;
    let link = link.with_context(|| format!("there is no payment link {uid:?}"))?;
    let grant = operator.store.grant_facts(&link.grant_id).await?;
    let GrantFacts { client_id, client_name, company, .. } =
        grant.context("the link's connection is gone")?;
    let session = link.latest();
    let view = link.view(operator.config.checkout_base());
    let text = title(&link, &client_name, &company.name);
    let value = json!({
        "payment_link": view, "session": session, "grant_id": link.grant_id, "client_id": client_id,
        "client": client_name, "company_id": company.id, "company": company.name,
    });
    operator.show(&value, &text)
}

async fn set_status(operator: &Operator, uid: &str, report: Report) -> anyhow::Result<()> {
    let (event, actor, now) = (operator.event(), Some(&operator.actor), operator.now);
    let reporting = Reporting { uid, report, event, actor, now };
    match payments::report(&operator.store, &*operator.entropy, &reporting).await? {
        Reported::Link(link, changed) => {
            let session = link.latest().context("the session cannot be read")?;
            let (id, now) = (session.id.clone(), session.status.as_str());
            let value = json!({ "uid": uid, "changed": changed, "session": session });
            let text = if changed { "is now" } else { "was already" };
            operator.answer(&value, &format!("{uid}: its payment {id} {text} {now}"))
        }
        Reported::Unknown => bail!("there is no payment link {uid:?}"),
        Reported::Refused(refusal) => bail!("{refusal} ({})", refusal.code()),
    }
}

impl Operator {
    /// The name of an event that is about to be written.
    pub fn event(&self) -> Seed {
        let checkout_base = self.config.checkout_base().to_owned();
        Seed { id: self.entropy.id("mpevt_"), checkout_base }
    }
}

fn link_status(text: &str) -> Result<LinkStatus, String> {
    let all = [LinkStatus::Active, LinkStatus::Archived];
    all.into_iter()
        .find(|it| it.as_str() == text)
        .ok_or_else(|| "one of: active, archived".to_owned())
}

fn status(text: &str) -> Result<PaymentStatus, String> {
    let words = PaymentStatus::ALL.map(PaymentStatus::as_str).join(", ");
    PaymentStatus::parse(text).ok_or_else(|| format!("one of: {words}"))
}

fn amount(text: &str) -> Result<Amount, String> {
    Amount::parse(text).ok_or_else(|| "a positive decimal like 49.90".to_owned())
}
