//! `grant_type=authorization_code` (RFC 6749 §4.1.3).

use axum::response::Response;
use counterfoil_protocol::encoding::sha256;

use super::{
    ATTEMPTS, TokenRequest, answer,
    issue::{Issued, Subject},
};
use crate::{
    events,
    http::error::Refusal,
    oauth::{
        code::{self, Code, Decision, Presented, Refused},
        grant::EndReason,
    },
    store::{NewFamily, Redemption, Written},
    vault::Purpose,
};

impl TokenRequest<'_> {
    pub(super) async fn authorization_code(&self) -> Result<Response, Refusal> {
        let text = self.form.require("code")?;
        let hash = sha256(text.as_bytes());
        let idempotency = self.idempotency();
        let presented = Presented {
            client_id: &self.client.id,
            redirect_uri: self.form.require("redirect_uri")?,
            // An absent verifier is a wrong one: the code is bound to a challenge (RFC 7636 §4.6).
            verifier: self.form.get("code_verifier").unwrap_or_default(),
            key: self.key(),
            idempotency: idempotency.as_ref(),
            now: self.app.now(),
        };
        let mut proof_is_spent = false;
        for _ in 0..ATTEMPTS {
            let code = self.app.store.code(&hash).await?;
            let code = code.ok_or_else(|| Refusal::invalid_grant("unknown code"))?;
            let decision = code::decide(&code, &presented);
            if let Decision::Refuse(refused) = decision {
                return Err(self.refuse_code(refused));
            }
            if !std::mem::replace(&mut proof_is_spent, true) {
                self.spend_proof()?;
            }
            match decision {
                Decision::Redeem => {
                    let (issued, redemption) = self.redemption(&code, text)?;
                    if self.app.store.redeem_code(redemption).await? == Written::Done {
                        events::code_redeemed(&self.client.id, &code.grant.id);
                        return Ok(answer(issued.body, false));
                    }
                }
                Decision::Replay(receipt) => {
                    let body = self.open_receipt(receipt, text, Purpose::CodeReceipt)?;
                    events::answered_again(&self.client.id, "code");
                    return Ok(answer(body, true));
                }
                Decision::EndFamily(family) => {
                    let (reason, actor) = (EndReason::CodeReuse, self.actor());
                    self.app.store.end_family(&family, reason, &actor, presented.now).await?;
                    events::family_ended(&self.client.id, &code.grant.id, EndReason::CodeReuse);
                    return Err(Refusal::invalid_grant(
                        "the code was used before: what it gave has ended",
                    ));
                }
                Decision::Refuse(refused) => return Err(self.refuse_code(refused)),
            }
        }
        Err(Refusal::server_error("a code exchange was overtaken again and again"))
    }

    fn redemption(&self, code: &Code, text: &str) -> Result<(Issued, Redemption), Refusal> {
        let family_id = self.app.entropy.bytes();
        let subject = Subject {
            grant: &code.grant,
            family: Some(&family_id),
            scope: &code.scope,
            key: self.key(),
        };
        let issued = self.issue(&subject, Some(1))?;
        let now = self.app.now();
        let family = NewFamily {
            id: family_id,
            grant_id: code.grant.id.clone(),
            scope: code.scope.clone(),
            resource: code.resource.clone(),
            key: self.key().copied(),
            token_hash: issued.refresh_hash.unwrap_or_default(),
            expires_at: (!self.is_native()).then(|| now + self.app.config.lifetimes.refresh_token),
        };
        // Only a request that named itself can be repeated, and only by whoever can prove the key.
        let repeatable = self.idempotency_key.is_some() && self.proof.is_some();
        let receipt = repeatable.then(|| self.receipt(&issued, text, Purpose::CodeReceipt));
        let redemption =
            Redemption { code: code.hash, family, receipt, sole: self.is_native(), now };
        Ok((issued, redemption))
    }

    fn refuse_code(&self, refused: Refused) -> Refusal {
        match refused {
            Refused::WrongKey => self.wrong_key(),
            Refused::ReceiptGone => self.answer_gone("the code's answer is no longer kept"),
            Refused::Ended => Refusal::invalid_grant("the code has expired or was ended"),
            Refused::OtherClient => Refusal::invalid_grant("the code is another client's"),
            Refused::OtherRedirectUri => {
                Refusal::invalid_grant("the code was sent to another redirect_uri")
            }
            Refused::Pkce(refusal) => Refusal::invalid_grant(refusal),
        }
    }
}
