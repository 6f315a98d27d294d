//! The recovery grant: a new family for a proof of the installation's key, when the family was lost.

use axum::{
    http::{StatusCode, header},
    response::Response,
};

use super::{ATTEMPTS, TokenRequest, UNGUESSABLE, answer, issue::Subject};
use crate::{
    events,
    http::error::Refusal,
    oauth::{
        grant::Grant,
        recovery::{self, Decision, PERIOD, RecoveryRecord, RecoveryRefusal},
    },
    store::{NewFamily, Recovery, Written},
    vault::Purpose,
};

impl TokenRequest<'_> {
    pub(super) async fn installation_key(&self) -> Result<Response, Refusal> {
        let installation = self.client.installation().ok_or_else(|| {
            Refusal::bad_request(
                "unauthorized_client",
                "Only a native installation may recover by its key.",
            )
        })?;
        let registered = installation
            .key
            .zip(self.key().copied())
            .is_some_and(|(own, signed)| own.matches(&signed));
        if !registered {
            return Err(self.wrong_key());
        }
        // The receipt is sealed with it.
        let key = self.idempotency_key.filter(|key| key.len() >= UNGUESSABLE).ok_or_else(|| {
            Refusal::bad_request(
                "invalid_idempotency_key",
                "Recovery needs an Idempotency-Key with 43 random characters.",
            )
        })?;
        let idempotency = self.idempotency().unwrap_or_default();
        let mut proof_is_spent = false;
        for _ in 0..ATTEMPTS {
            let now = self.app.now();
            let grant = self.app.store.redeemed_grant(&self.client.id).await?;
            let recoveries = self.app.store.recoveries(&self.client.id, now - PERIOD).await?;
            let reuses = self.app.store.reuses(&self.client.id).await?;
            let decision = recovery::decide(&recoveries, &reuses, &idempotency, grant.is_some());
            if let Decision::Refuse(refusal) = decision {
                return Err(refuse(refusal, &recoveries, now - PERIOD));
            }
            if !std::mem::replace(&mut proof_is_spent, true) {
                self.spend_proof()?;
            }
            match (decision, grant) {
                (Decision::Replay(record), _) => {
                    return Ok(answer(
                        self.open_receipt(&record.receipt, key, Purpose::RecoveryReceipt)?,
                        true,
                    ));
                }
                (Decision::Recover, Some(grant)) => {
                    if let Some(body) =
                        self.recover(&grant, recoveries.len(), key, idempotency).await?
                    {
                        events::recovered(&self.client.id, &grant.id);
                        return Ok(answer(body, false));
                    }
                }
                (Decision::Recover | Decision::Refuse(_), _) => {
                    return Err(refuse(RecoveryRefusal::NoGrant, &recoveries, now - PERIOD));
                }
            }
        }
        Err(Refusal::server_error("a recovery was overtaken again and again"))
    }

    async fn recover(
        &self,
        grant: &Grant,
        counted: usize,
        key: &str,
        idempotency: [u8; 32],
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let family_id = self.app.entropy.bytes();
        // What the merchant approved, not what the profile says today.
        let scope = self.app.store.granted_scope(&grant.id).await?;
        let subject = Subject { grant, family: Some(&family_id), scope: &scope, key: self.key() };
        let issued = self.issue(&subject, Some(1))?;
        let recovery = Recovery {
            client_id: self.client.id.clone(),
            family: NewFamily {
                id: family_id,
                grant_id: grant.id.clone(),
                scope: scope.clone(),
                resource: self.app.uris.resource.clone(),
                key: self.key().copied(),
                token_hash: issued.refresh_hash.unwrap_or_default(),
                expires_at: None,
            },
            idempotency,
            receipt: self.receipt(&issued, key, Purpose::RecoveryReceipt),
            counted,
            now: self.app.now(),
        };
        let written = self.app.store.recover(recovery).await?;
        Ok((written == Written::Done).then_some(issued.body))
    }
}

fn refuse(
    refusal: RecoveryRefusal,
    recoveries: &[RecoveryRecord],
    since: counterfoil_protocol::UnixTime,
) -> Refusal {
    match refusal {
        RecoveryRefusal::KeyInTwoPlaces => Refusal::bad_request("key_in_two_places", refusal),
        RecoveryRefusal::NoGrant | RecoveryRefusal::ReceiptGone => {
            Refusal::bad_request("invalid_grant", refusal)
        }
        RecoveryRefusal::TooMany => {
            let oldest = recoveries.last().map_or(0, |record| record.at.since(since));
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", refusal)
                .with_header(header::RETRY_AFTER, &oldest.max(1).to_string())
        }
    }
}
