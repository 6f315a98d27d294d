use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{Request, StatusCode, header},
    response::Response,
};
use counterfoil_protocol::{proof::Proof, secret::Secret};

use crate::{
    app::App,
    audit::Actor,
    events,
    http::{
        error::Refusal,
        extract::{self, DPOP, DPOP_PREVIOUS},
        oauth::{
            proofs::{Rule, counted_as},
            token::{self, ATTEMPTS, TokenRequest, UNGUESSABLE, issue::Subject},
        },
    },
    oauth::{
        grant::{EndReason, Family},
        key_rotation::{self, Decision, Known, Presented, Previous, Refused},
        recovery::RecoveryRefusal,
        refresh_token::RefreshToken,
    },
    store::{KeyRotation, NewFamily, Written},
    vault::Purpose,
};

/// Puts a new key in the place of a store's key, without asking the merchant again. `DPoP` is signed by the new key,
/// `DPoP-Previous` by the old one, which names the new one. Answers tokens that are bound to the new key.
pub async fn rotate_key(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let names = ["client_id", "refresh_token"];
    let form = extract::json_parameters(&parts, body, app.config.limits.body, &names).await?;
    let client = app.authenticate_client(&parts.headers, &form).await?;
    let installation = client.installation().ok_or_else(|| {
        let sentence = "Only a native installation may change its key.";
        Refusal::bad_request("unauthorized_client", sentence)
    })?;
    let profile = app.profiles.get(&installation.platform);
    let idempotency_key = token::idempotency_key(&parts.headers, profile)?
        .filter(|key| key.len() >= UNGUESSABLE)
        .ok_or_else(|| {
            let sentence =
                "A change of the key needs an Idempotency-Key with 43 random characters.";
            Refusal::bad_request("invalid_idempotency_key", sentence)
        })?;
    let rule = Rule::posted(&app.uris.installation_key, &client);
    let proof = app.judge_proof(&parts.headers, &DPOP, &rule)?.ok_or_else(|| {
        let sentence =
            "A change of the key must be proved: send a DPoP header signed by the new key.";
        Refusal::bad_request("invalid_dpop_proof", sentence)
    })?;
    let previous = app.judge_proof(&parts.headers, &DPOP_PREVIOUS, &rule)?;
    app.limits.check_token(&counted_as(&client, Some(&proof)))?;
    let request = TokenRequest {
        app: &app,
        form: &form,
        client: &client,
        profile,
        proof: Some(&proof),
        idempotency_key: Some(idempotency_key),
    };
    KeyRequest { request, proof: &proof, previous: previous.as_ref() }.answer().await
}

/// A request whose client and proofs are good. Nothing has been consumed.
struct KeyRequest<'a> {
    request: TokenRequest<'a>,
    proof: &'a Proof,
    previous: Option<&'a Proof>,
}

impl KeyRequest<'_> {
    async fn answer(&self) -> Result<Response, Refusal> {
        let TokenRequest { app, form, client, .. } = &self.request;
        let text = Secret::new(form.require("refresh_token")?);
        let token = RefreshToken::parse(text.expose(), app.vault.refresh_token_key())
            .ok_or_else(|| Refusal::invalid_grant("not a refresh token of ours"))?;
        let idempotency = self.request.idempotency().unwrap_or_default();
        let presented = Presented {
            token,
            token_hash: &text.sha256(),
            client_id: &client.id,
            key: &self.proof.thumbprint,
            previous: self.previous.map(|previous| Previous {
                key: &previous.thumbprint,
                successor: previous.successor.as_ref(),
            }),
            idempotency: &idempotency,
            now: app.now(),
        };
        let mut proofs_are_spent = false;
        for _ in 0..ATTEMPTS {
            let family = app.store.family(&token.family).await?;
            let family = family.ok_or_else(|| Refusal::invalid_grant("unknown family"))?;
            let successor = match &family.successor {
                Some(id) => app.store.family(id).await?,
                None => None,
            };
            let known = Known {
                family: &family,
                successor: successor.as_ref(),
                key: client.installation().and_then(|own| own.key.as_ref()),
                in_two_places: !app.store.reuses(&client.id).await?.is_empty(),
            };
            let decision = key_rotation::decide(&known, &presented);
            if let Decision::Refuse(refused) = decision {
                return Err(self.refuse(refused));
            }
            if !std::mem::replace(&mut proofs_are_spent, true) {
                self.spend_proofs()?;
            }
            match decision {
                Decision::Rotate { adopted } => {
                    if adopted {
                        tracing::warn!(
                            client_id = client.id,
                            generation = token.generation,
                            "adopted a family ahead of the store"
                        );
                    }
                    if let Some(body) = self.rotate(&family, &text).await? {
                        return Ok(token::answer(body, false));
                    }
                }
                Decision::Replay(receipt) => {
                    let purpose = Purpose::KeyRotationReceipt;
                    let body = self.request.open_receipt(receipt, text.expose(), purpose)?;
                    events::answered_again(&client.id, "key_rotation");
                    return Ok(token::answer(body, true));
                }
                Decision::EndFamily => {
                    let reason = EndReason::RefreshReuse;
                    let actor = Actor::Client(client.id.clone());
                    app.store.end_family(&family.id, reason, &actor, presented.now).await?;
                    events::family_ended(&client.id, &family.grant.id, reason);
                    return Err(self
                        .request
                        .answer_gone("the refresh token was used before: its family has ended"));
                }
                Decision::Refuse(refused) => return Err(self.refuse(refused)),
            }
        }
        Err(Refusal::server_error("a key rotation was overtaken again and again"))
    }

    /// Writes the change. Answers the body, unless somebody else was faster.
    async fn rotate(&self, family: &Family, text: &Secret) -> Result<Option<Vec<u8>>, Refusal> {
        let TokenRequest { app, client, .. } = &self.request;
        let (new_key, family_id) = (&self.proof.thumbprint, app.entropy.bytes());
        let Some(old_key) = family.key else { return Ok(None) };
        let subject = Subject {
            grant: &family.grant,
            family: Some(&family_id),
            scope: &family.scope,
            key: Some(new_key),
        };
        let issued = self.request.issue(&subject, Some(1))?;
        let rotation = KeyRotation {
            client_id: client.id.clone(),
            ended: family.id,
            generation: family.generation,
            old_key,
            family: NewFamily {
                id: family_id,
                grant_id: family.grant.id.clone(),
                scope: family.scope.clone(),
                resource: family.resource.clone(),
                key: Some(*new_key),
                token_hash: issued.refresh_hash.unwrap_or_default(),
                expires_at: None,
            },
            receipt: self.request.receipt(&issued, text.expose(), Purpose::KeyRotationReceipt),
            now: app.now(),
        };
        if app.store.rotate_key(rotation).await? == Written::Raced {
            return Ok(None);
        }
        events::key_rotated(&client.id, &family.grant.id, &old_key, new_key);
        Ok(Some(issued.body))
    }

    fn spend_proofs(&self) -> Result<(), Refusal> {
        self.request.spend_proof()?;
        let window = self.request.client.proof_window();
        self.previous.map_or(Ok(()), |previous| self.request.app.remember_proof(previous, window))
    }

    fn refuse(&self, refused: Refused) -> Refusal {
        let invalid_grant = |cause| Refusal::invalid_grant(cause);
        let invalid_proof = |sentence| Refusal::bad_request("invalid_dpop_proof", sentence);
        match refused {
            Refused::Ended => self.request.answer_gone("the family or its grant has ended"),
            Refused::KeyInTwoPlaces => {
                Refusal::bad_request("key_in_two_places", RecoveryRefusal::KeyInTwoPlaces)
            }
            Refused::OtherClient => invalid_grant("the refresh token is another client's"),
            Refused::OtherIdempotencyKey => {
                invalid_grant("the answer is kept for another Idempotency-Key")
            }
            Refused::Overtaken => {
                invalid_grant("a refresh came first: have its answer, and use the token in it")
            }
            Refused::PreviousRequired => unauthorized(
                "previous_dpop_required",
                "Prove the key in force as well, in DPoP-Previous, naming the new key in next_jkt.",
            ),
            Refused::PreviousWrong => {
                if let Some(previous) = self.previous {
                    events::wrong_key(&self.request.client.id, &previous.thumbprint);
                }
                unauthorized(
                    "invalid_previous_dpop_key",
                    "DPoP-Previous is not signed by the key that is in force for this store.",
                )
            }
            Refused::ReceiptGone => self.request.answer_gone("the answer is no longer kept"),
            Refused::SameKey => invalid_proof(
                "DPoP and DPoP-Previous are signed by the same key: nothing would change.",
            ),
            Refused::SuccessorNotNamed => invalid_proof(
                "DPoP-Previous does not name, in next_jkt, the thumbprint of the key that signed DPoP.",
            ),
        }
    }
}

fn unauthorized(code: &str, sentence: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, code, sentence)
        .with_header(header::WWW_AUTHENTICATE, "DPoP algs=\"ES256\"")
}

#[cfg(test)]
mod tests;
