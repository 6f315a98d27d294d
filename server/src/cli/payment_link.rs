//! `payment-link set-status`.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::operator::{self, Operator};
use crate::{
    partner::{
        amount::Amount,
        payment::{PaymentStatus, Report},
    },
    payments::{self, Reported, Reporting},
    webhooks::payload::Seed,
};

#[derive(clap::Subcommand)]
pub enum Command {
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
        let Self::SetStatus { uid, status, amount, session } = self;
        let report = Report { status, amount, settlement: None, session };
        let event = operator.event();
        let (actor, now) = (Some(&operator.actor), operator.now);
        let reporting = Reporting { uid: &uid, report, event, actor, now };
        let reported = payments::report(&operator.store, &*operator.entropy, &reporting);
        match operator::wait(reported)?? {
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
