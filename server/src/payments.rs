//! A report of the payment engine, run: read, judged, written with what tells of it.

use counterfoil_protocol::UnixTime;

use crate::{
    audit::Actor,
    clock::Entropy,
    partner::{
        link::PaymentLink,
        payment::{MoveRefusal, Moved, Report},
    },
    store::{KeptReceipt, Partner, PartnerWrite, PaymentMove, StoreError, Webhooks},
    webhooks::payload::Seed,
};

/// How often a report is judged again because something else was faster.
pub const ATTEMPTS: usize = 8;

/// What a report came to.
#[derive(Debug)]
pub enum Reported {
    /// The link as it is now, and whether it moved.
    Link(Box<PaymentLink>, bool),
    /// There is no such link.
    Unknown,
    /// The report is refused.
    Refused(MoveRefusal),
}

/// A report, and what is written when it moves something.
#[derive(Clone, Debug)]
pub struct Reporting<'a> {
    /// The link.
    pub uid: &'a str,
    /// What is reported of it.
    pub report: Report,
    /// The event that tells of it.
    pub event: Seed,
    /// The person who reports it; nobody when it is the engine.
    pub actor: Option<&'a Actor>,
    /// The time now.
    pub now: UnixTime,
}

/// Takes a report about the payment of a link.
pub async fn report(
    store: &(impl Partner + Webhooks + ?Sized),
    entropy: &dyn Entropy,
    reporting: &Reporting<'_>,
) -> Result<Reported, StoreError> {
    for _ in 0..ATTEMPTS {
        if let Some(reported) = step(store, entropy, reporting, |_, _| None).await? {
            return Ok(reported);
        }
    }
    Err(overtaken())
}

/// Judges a report once, and keeps the receipt of what is answered to it: `None` says that something else was faster.
pub async fn step(
    store: &(impl Partner + Webhooks + ?Sized),
    entropy: &dyn Entropy,
    reporting: &Reporting<'_>,
    receipt: impl Fn(&PaymentLink, bool) -> Option<KeptReceipt>,
) -> Result<Option<Reported>, StoreError> {
    let Reporting { uid, report, event, actor, now } = reporting;
    let Some(link) = store.payment_link(uid).await? else { return Ok(Some(Reported::Unknown)) };
    let (link, changed) = match report.clone().apply(&link, entropy.id("mpsess_"), *now) {
        Ok(Moved::To(moved)) => (moved, true),
        Ok(Moved::Unchanged) => (Box::new(link), false),
        Err(refusal) => return Ok(Some(Reported::Refused(refusal))),
    };
    let receipt = receipt(&link, changed);
    let written = if changed {
        let (link, event, actor) = ((*link).clone(), event.clone(), actor.cloned());
        store.move_payment(PaymentMove { link, event, actor, receipt, now: *now }).await?
    } else if let Some(receipt) = receipt {
        store.note_report(receipt, *now).await?
    } else {
        PartnerWrite::Done
    };
    Ok((written == PartnerWrite::Done).then_some(Reported::Link(link, changed)))
}

/// The failure of a report that lost against others again and again.
pub fn overtaken() -> StoreError {
    StoreError::Backend("a report was overtaken again and again".to_owned())
}
