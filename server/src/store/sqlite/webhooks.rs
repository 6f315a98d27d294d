mod endpoints;
mod engine;
mod log;
mod manual;
pub(super) mod outbox;
mod settle;

use async_trait::async_trait;
use counterfoil_protocol::UnixTime;

use super::{Sqlite, grants::PORTION};
use crate::{
    audit::Actor,
    partner::receipt::Receipt,
    store::{
        AddedEndpoint, Claim, DeliveryQuery, Due, EndpointQuery, EndpointSecret, KeptReceipt,
        ListedEndpoint, ManualSend, NewEndpoint, Notice, Of, Part, PartnerWrite, PaymentMove,
        Queued, Result, Rotated, Sent, Settled, Settlement, Webhooks,
    },
    webhooks::{endpoint::Endpoint, log::Delivery, payload::Seed},
};

#[cfg(test)]
pub(super) use self::{
    endpoints::BY_ID,
    log::{OF_CLIENT, OF_ENDPOINT, OF_GRANT, OLD},
    outbox::{APPLICATIONS, DUE, SUBSCRIBED, WAITS_BEFORE},
    settle::NEXT,
};

#[async_trait]
impl Webhooks for Sqlite {
    async fn move_payment(&self, change: PaymentMove) -> Result<PartnerWrite> {
        self.write(move |db| outbox::move_payment(db, &change)).await
    }

    async fn engine_receipt(&self, idempotency: &[u8; 32]) -> Result<Option<Receipt>> {
        self.read(|db| engine::receipt(db, idempotency))
    }

    async fn note_report(&self, receipt: KeptReceipt, now: UnixTime) -> Result<PartnerWrite> {
        self.write(move |db| engine::note(db, &receipt, now)).await
    }

    async fn is_anything_due(&self, now: UnixTime) -> Result<bool> {
        self.read(|db| Ok(db.prepare_cached(outbox::DUE)?.exists([now.0])?))
    }

    async fn claim_deliveries(&self, claim: Claim) -> Result<Vec<Due>> {
        self.write(move |db| outbox::claim(db, claim)).await
    }

    async fn settle_delivery(&self, settlement: Settlement) -> Result<Settled> {
        self.write(move |db| settle::settle(db, &settlement)).await
    }

    async fn endpoints(&self, company_id: Option<&str>, part: Part<'_>) -> Result<Vec<Endpoint>> {
        self.read(|db| endpoints::all(db, company_id, part))
    }

    async fn company_endpoints(&self, query: EndpointQuery<'_>) -> Result<Vec<ListedEndpoint>> {
        self.read(|db| endpoints::of_company(db, query))
    }

    async fn company_endpoint(&self, company_id: &str, id: &str) -> Result<Option<ListedEndpoint>> {
        self.read(|db| {
            let found = endpoints::one(db, id)?.filter(|it| it.company_id == company_id);
            found.map(|it| endpoints::listed(db, it)).transpose()
        })
    }

    async fn endpoint(&self, id: &str) -> Result<Option<Endpoint>> {
        self.read(|db| endpoints::one(db, id))
    }

    async fn add_endpoint(
        &self,
        new: NewEndpoint,
        most: u32,
        actor: &Actor,
    ) -> Result<AddedEndpoint> {
        let actor = actor.clone();
        self.write(move |db| endpoints::add(db, &new, most, &actor)).await
    }

    async fn switch_endpoint(
        &self,
        id: &str,
        active: bool,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<bool> {
        let (id, actor) = (id.to_owned(), actor.clone());
        self.write(move |db| endpoints::switch(db, &id, active, &actor, now)).await
    }

    async fn rotate_endpoint_secret(
        &self,
        id: &str,
        change: EndpointSecret,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Rotated> {
        let (id, actor) = (id.to_owned(), actor.clone());
        self.write(move |db| endpoints::rotate(db, &id, &change, (&actor, now))).await
    }

    async fn test_endpoint(
        &self,
        id: &str,
        event: Seed,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Queued> {
        let (id, actor) = (id.to_owned(), actor.clone());
        self.write(move |db| manual::test(db, &id, &event, &actor, now)).await
    }

    async fn retry_delivery(
        &self,
        id: &str,
        event: Seed,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Queued> {
        let (id, actor) = (id.to_owned(), actor.clone());
        self.write(move |db| manual::retry(db, &id, &event, &actor, now)).await
    }

    async fn send_by_hand(&self, send: ManualSend) -> Result<Sent> {
        self.write(move |db| manual::send(db, &send)).await
    }

    async fn deliveries(&self, of: Of<'_>, query: DeliveryQuery<'_>) -> Result<Vec<Delivery>> {
        self.read(|db| log::list(db, of, query))
    }

    async fn delivery(&self, id: &str) -> Result<Option<Delivery>> {
        self.read(|db| log::one(db, id))
    }

    async fn forget_deliveries(&self, before: UnixTime) -> Result<usize> {
        // In portions, each a write of its own: everybody else's writes wait behind it.
        let mut forgotten = 0;
        loop {
            let portion = self.write(move |db| log::forget(db, before)).await?;
            forgotten += portion;
            if portion < usize::from(PORTION) {
                return Ok(forgotten);
            }
        }
    }

    async fn notices(&self) -> Result<Vec<Notice>> {
        self.read(log::notices)
    }

    async fn notice_told(&self, id: i64, now: UnixTime) -> Result<()> {
        self.write(move |db| log::notice_told(db, id, now)).await
    }
}
