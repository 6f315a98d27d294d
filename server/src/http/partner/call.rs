//! What the handlers share: a request that passed the guard, its `Idempotency-Key`, and the form of an answer.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::MatchedPath,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::{encoding::sha256, jwk::Thumbprint, token::REPLAYED_HEADER};
use serde::Serialize;

use super::challenge;
use crate::{
    app::App,
    http::{error::Refusal, extract},
    partner::{
        access::Scheme,
        members::Fault,
        receipt::{Keeping, Receipt, fingerprint},
    },
    store::{CompanyWrite, Holder, KeptReceipt, PartnerWrite},
    vault::Purpose,
};

/// How often a request is decided again because another was faster.
pub(super) const ATTEMPTS: usize = 8;

/// A request that passed the guard.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) parts: Parts,
    /// Whose token it was, and for whom.
    pub(super) holder: Holder,
    /// The key that signed the proof; none for a bearer token.
    pub(super) key: Option<Thumbprint>,
}

/// What a request is recognised by when it is repeated; nothing without an `Idempotency-Key`.
pub(super) struct Once<'a> {
    call: &'a Call,
    keeping: Keeping,
    names: Option<Names>,
}

struct Names {
    idempotency: [u8; 32],
    request: [u8; 32],
}

impl Call {
    /// What the path names: what stands in it where its route has `{…}`, as it was sent.
    pub(super) fn named(&self) -> &str {
        let route = self.parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let mut parts = route.split('/').zip(self.parts.uri.path().split('/'));
        let named = parts.find(|(pattern, _)| pattern.starts_with('{'));
        named.map_or("", |(_, name)| name)
    }

    /// Reads a body that is a JSON object, as text.
    pub(super) async fn json(&self, body: Body) -> Result<String, Refusal> {
        extract::json_text(&self.parts, body, self.app.config.limits.body).await
    }

    /// Reads the body as the text of one JSON object; none is `{}`.
    pub(super) async fn optional_json(&self, body: Body) -> Result<String, Refusal> {
        extract::optional_json_text(&self.parts, body, self.app.config.limits.body).await
    }

    /// Takes the request's `Idempotency-Key`.
    pub(super) fn once(&self, keeping: Keeping, body: &[u8]) -> Result<Once<'_>, Refusal> {
        let names = extract::idempotency_key(&self.parts.headers)?.map(|key| Names {
            idempotency: sha256(key.as_bytes()),
            request: fingerprint(self.parts.method.as_str(), self.parts.uri.path(), body),
        });
        Ok(Once { call: self, keeping, names })
    }

    /// A write of something of the company, in the name of the grant.
    pub(super) fn writing<T>(&self, thing: T, receipt: Option<KeptReceipt>) -> CompanyWrite<T> {
        let grant_id = self.holder.grant_id.clone();
        CompanyWrite { thing, grant_id, receipt, now: self.app.now() }
    }

    /// What follows from a write: `None` says that it must be decided again.
    pub(super) fn written<T>(
        &self,
        write: PartnerWrite,
        response: impl FnOnce() -> T,
    ) -> Result<Option<T>, Refusal> {
        match write {
            PartnerWrite::Done => Ok(Some(response())),
            PartnerWrite::Raced => Ok(None),
            PartnerWrite::GrantEnded => {
                let scheme = if self.key.is_some() { Scheme::Dpop } else { Scheme::Bearer };
                Err(challenge::invalid_token(&self.app, scheme, "the grant ended meanwhile"))
            }
            PartnerWrite::NoCustomer => Err(invalid(Fault {
                member: "customerId".to_owned(),
                must: "the id of a customer of this company",
            })),
            PartnerWrite::NoSubscription => Err(Refusal::new(
                StatusCode::CONFLICT,
                "webhook_subscription_inactive",
                "A payment link of this integration needs an active webhook subscription.",
            )),
        }
    }
}

impl Once<'_> {
    /// Answers a repeated request as the first one was answered; else takes the step until nobody was faster.
    pub(super) async fn decide<F, Fut>(&self, step: F) -> Result<Response, Refusal>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Option<Response>, Refusal>>,
    {
        for _ in 0..ATTEMPTS {
            if let Some(response) = self.answered().await? {
                return Ok(response);
            }
            if let Some(response) = step().await? {
                return Ok(response);
            }
        }
        Err(overtaken())
    }

    /// The answer that was given before to the same request under the same key.
    pub(super) async fn answered(&self) -> Result<Option<Response>, Refusal> {
        let Call { app, holder, key, .. } = self.call;
        let Some(Names { idempotency, request }) = &self.names else { return Ok(None) };
        let Some(receipt) = app.store.partner_receipt(&holder.grant_id, idempotency).await? else {
            return Ok(None);
        };
        let Some(verdict) = receipt.judge(self.keeping, request, key.as_ref(), app.now()) else {
            return Ok(None);
        };
        let sealed = verdict
            .map_err(|refusal| Refusal::new(StatusCode::CONFLICT, refusal.code(), refusal))?;
        let body =
            app.vault.open(Purpose::PartnerReceipt, sealed).map_err(Refusal::server_error)?;
        let (tag, body) = untied(&body);
        let mut response = answer(StatusCode::OK, body.to_vec());
        if let Some(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
        Ok(Some(response))
    }

    /// The receipt of an answer and its entity tag, if it has one, to be kept with the write that earns it.
    pub(super) fn receipt(&self, tag: Option<&str>, body: &[u8]) -> Option<KeptReceipt> {
        let Call { app, key, .. } = self.call;
        let now = app.now();
        self.names.as_ref().map(|Names { idempotency, request }| KeptReceipt {
            idempotency: *idempotency,
            receipt: Receipt {
                request: *request,
                key: *key,
                sealed: app.vault.seal(Purpose::PartnerReceipt, &tied(tag, body), &*app.entropy),
                given_at: now,
                forgotten_at: now + self.keeping.kept_for,
            },
            inherited: self.keeping.inherited,
        })
    }
}

/// An answer with its entity tag as a receipt keeps them: the tag on a line before the body. A tag begins with a quote,
/// which no JSON object does.
fn tied(tag: Option<&str>, body: &[u8]) -> Vec<u8> {
    tag.map_or_else(|| body.to_vec(), |tag| [tag.as_bytes(), b"\n", body].concat())
}

/// The tag and the body of an answer that was kept.
fn untied(kept: &[u8]) -> (Option<HeaderValue>, &[u8]) {
    let line = kept.starts_with(b"\"").then(|| kept.iter().position(|byte| *byte == b'\n'));
    let Some(end) = line.flatten() else { return (None, kept) };
    (HeaderValue::from_bytes(&kept[..end]).ok(), &kept[end + 1..])
}

/// An answer as bytes, for the wire and for its receipt.
pub(super) fn to_bytes(body: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(body).map_err(Refusal::server_error)
}

/// An answer of JSON that nobody keeps.
pub(super) fn answer(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body).into_response()
}

/// 400 `invalid_request` that names the member.
pub(super) fn invalid(fault: Fault) -> Refusal {
    Refusal::invalid_request(&fault).of_field(fault.member)
}

/// The refusal of a request that lost against others again and again.
pub(super) fn overtaken() -> Refusal {
    Refusal::server_error("a request was overtaken again and again")
}
