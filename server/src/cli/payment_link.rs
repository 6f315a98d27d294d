//! `payment-link show` and `set-status`.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::operator::{self, Operator};
use crate::{
    partner::{
        amount::Amount,
        payment::{PaymentStatus, Report},
    },
    payments::{self, Reported, Reporting},
    store::{GrantFacts, Operators as _, Partner as _},
    webhooks::payload::Seed,
};

#[derive(clap::Subcommand)]
pub enum Command {
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

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(async {
            match self {
                Self::Show { uid } => show(operator, &uid).await,
                Self::SetStatus { uid, status, amount, session } => {
                    let report = Report { status, amount, settlement: None, session };
                    set_status(operator, &uid, report).await
                }
            }
        })?
    }
}

async fn show(operator: &Operator, uid: &str) -> anyhow::Result<()> {
    let link = operator.store.payment_link(uid).await?;
    let link = link.with_context(|| format!("there is no payment link {uid:?}"))?;
    let grant = operator.store.grant_facts(&link.grant_id).await?;
    let GrantFacts { client_id, client_name, company, .. } =
        grant.context("the link's connection is gone")?;
    let session = link.latest();
    let payment = session.as_ref().map(|session| session.status.as_str());
    let view = link.view(operator.config.checkout_base());
    let text = format!(
        "{uid}: {} {}, {}, of {client_name} at {:?}; its payment: {}",
        link.amount,
        link.facts.fiat_currency.as_deref().or(link.facts.asset.as_deref()).unwrap_or_default(),
        link.status.as_str(),
        company.name,
        payment.unwrap_or("none yet"),
    );
    let value = json!({
        "payment_link": view, "session": session, "grant_id": link.grant_id, "client_id": client_id,
        "client": client_name, "company_id": company.id, "company": company.name,
    });
    operator.answer(&value, &text)
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

fn status(text: &str) -> Result<PaymentStatus, String> {
    let words = PaymentStatus::ALL.map(PaymentStatus::as_str).join(", ");
    PaymentStatus::parse(text).ok_or_else(|| format!("one of: {words}"))
}

fn amount(text: &str) -> Result<Amount, String> {
    Amount::parse(text).ok_or_else(|| "a positive decimal like 49.90".to_owned())
}
