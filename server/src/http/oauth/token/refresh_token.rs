//! `grant_type=refresh_token` (RFC 6749 §6): where a refresh token is rotated.

use axum::response::Response;
use counterfoil_protocol::{scope::ScopeSet, secret::Secret};

use super::{
    ATTEMPTS, TokenRequest, answer,
    issue::{Issued, Subject},
};
use crate::{
    events,
    http::error::Refusal,
    oauth::{
        grant::{EndReason, Family},
        refresh::{self, Decision, Presented, Refused, RetryRule},
        refresh_token::RefreshToken,
    },
    store::{Rotation, Written},
    vault::Purpose,
};

impl TokenRequest<'_> {
    pub(super) async fn refresh_token(&self) -> Result<Response, Refusal> {
        let text = Secret::new(self.form.require("refresh_token")?);
        let token = RefreshToken::parse(text.expose(), self.app.vault.refresh_token_key())
            .ok_or_else(|| Refusal::invalid_grant("not a refresh token of ours"))?;
        let (token_hash, idempotency) = (text.sha256(), self.idempotency());
        let presented = Presented {
            token,
            token_hash: &token_hash,
            client_id: &self.client.id,
            key: self.key(),
            idempotency: idempotency.as_ref(),
            rule: if self.is_native() { RetryRule::SameSuccessor } else { RetryRule::Strict },
            now: self.app.now(),
        };
        let mut proof_is_spent = false;
        for _ in 0..ATTEMPTS {
            let family = self.app.store.family(&token.family).await?;
            let family = family.ok_or_else(|| Refusal::invalid_grant("unknown family"))?;
            let decision = refresh::decide(&family, &presented);
            if let Decision::Refuse(refused) = decision {
                return Err(self.refuse_refresh(refused));
            }
            let scope = self.narrowed(&family.scope)?;
            if !std::mem::replace(&mut proof_is_spent, true) {
                self.spend_proof()?;
            }
            match decision {
                Decision::Rotate { next, adopted } => {
                    if adopted {
                        tracing::warn!(
                            client_id = self.client.id,
                            generation = next,
                            "adopted a family ahead of the store"
                        );
                    }
                    let (issued, rotation) = self.rotation(&family, &scope, next, text.expose())?;
                    if self.app.store.rotate_refresh_token(rotation).await? == Written::Done {
                        events::refreshed(&self.client.id, &family.grant.id);
                        return Ok(answer(issued.body, false));
                    }
                }
                Decision::Replay(receipt) => {
                    let body =
                        self.open_receipt(receipt, text.expose(), Purpose::RefreshReceipt)?;
                    events::answered_again(&self.client.id, "refresh");
                    return Ok(answer(body, true));
                }
                Decision::EndFamily => {
                    let (reason, actor) = (EndReason::RefreshReuse, self.actor());
                    self.app.store.end_family(&family.id, reason, &actor, presented.now).await?;
                    events::family_ended(
                        &self.client.id,
                        &family.grant.id,
                        EndReason::RefreshReuse,
                    );
                    return Err(
                        self.answer_gone("the refresh token was used before: its family has ended")
                    );
                }
                Decision::Refuse(refused) => return Err(self.refuse_refresh(refused)),
            }
        }
        Err(Refusal::server_error("a refresh was overtaken again and again"))
    }

    /// What the new access token may do: what was asked for, within what was granted. The family keeps it all.
    fn narrowed(&self, granted: &ScopeSet) -> Result<ScopeSet, Refusal> {
        let Some(text) = self.form.get("scope") else { return Ok(granted.clone()) };
        let asked = ScopeSet::parse(text).ok().filter(|asked| granted.contains_all(asked));
        asked.ok_or_else(|| {
            Refusal::bad_request("invalid_scope", "scope names something that was not granted.")
        })
    }

    fn rotation(
        &self,
        family: &Family,
        scope: &ScopeSet,
        next: u32,
        text: &str,
    ) -> Result<(Issued, Rotation), Refusal> {
        let subject = Subject {
            grant: &family.grant,
            family: Some(&family.id),
            scope,
            key: family.key.as_ref(),
        };
        let issued = self.issue(&subject, Some(next))?;
        let now = self.app.now();
        let repeatable = self.is_native() && family.key.is_some();
        let rotation = Rotation {
            family: family.id,
            from: family.generation,
            to: next,
            token_hash: issued.refresh_hash.unwrap_or_default(),
            receipt: repeatable.then(|| self.receipt(&issued, text, Purpose::RefreshReceipt)),
            expires_at: family.expires_at.map(|_| now + self.app.config.lifetimes.refresh_token),
            now,
        };
        Ok((issued, rotation))
    }

    fn refuse_refresh(&self, refused: Refused) -> Refusal {
        match refused {
            Refused::WrongKey => self.wrong_key(),
            Refused::Ended => self.answer_gone("the family or its grant has ended"),
            Refused::OtherClient => Refusal::invalid_grant("the refresh token is another client's"),
            Refused::OtherIdempotencyKey => {
                Refusal::invalid_grant("the answer is kept for another Idempotency-Key")
            }
        }
    }
}
