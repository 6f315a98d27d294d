//! A report of the payment engine, run: read, judged, written with what tells of it.

use counterfoil_protocol::UnixTime;

use crate::{
    audit::Actor,
    clock::Entropy,
    partner::{
        link::PaymentLink,
        payment::{MoveRefusal, Moved, Report},
    },
    store::{Partner, PartnerWrite, PaymentMove, StoreError, Webhooks},
    webhooks::payload::Seed,
};

/// How often a report is judged again because something else was faster.
const ATTEMPTS: usize = 8;

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

/// Takes a report about the payment of a link: of the engine, or of a person.
pub async fn report(
    store: &(impl Partner + Webhooks + ?Sized),
    entropy: &dyn Entropy,
    (event, actor, now): (Seed, Option<&Actor>, UnixTime),
    uid: &str,
    report: Report,
) -> Result<Reported, StoreError> {
    for _ in 0..ATTEMPTS {
        let Some(link) = store.payment_link(uid).await? else { return Ok(Reported::Unknown) };
        let moved = match report.clone().apply(&link, entropy.id("mpsess_"), now) {
            Ok(Moved::To(moved)) => moved,
            Ok(Moved::Unchanged) => return Ok(Reported::Link(Box::new(link), false)),
            Err(refusal) => return Ok(Reported::Refused(refusal)),
        };
        let change = PaymentMove {
            link: (*moved).clone(),
            event: event.clone(),
            actor: actor.cloned(),
            now,
        };
        if store.move_payment(change).await? == PartnerWrite::Done {
            return Ok(Reported::Link(moved, true));
        }
    }
    Err(StoreError::Backend("a report was overtaken again and again".to_owned()))
}
