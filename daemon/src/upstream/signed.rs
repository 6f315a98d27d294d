//! Requests that carry a proof of the key (RFC 9449).

use bytes::Bytes;
use counterfoil_protocol::{
    UnixTime, jwk::Thumbprint, ownership::Ownership, proof::Draft, secret::Secret, uri::HttpUri,
};
use hyper::{
    HeaderMap, Method,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

use super::{Again, Answer, NONCE, Refused, Unanswered, Upstream};
use crate::key::{CannotSign, InstallationKey};

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_PREVIOUS: HeaderName = HeaderName::from_static("dpop-previous");

/// A request to be proved.
#[derive(Clone, Debug)]
pub(crate) struct Signed<'a> {
    /// The method.
    pub(crate) method: Method,
    /// The URL, with its query.
    pub(crate) url: &'a str,
    /// Its other headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
    /// The access token to present.
    pub(crate) token: Option<&'a Secret>,
    /// The key that signs.
    pub(crate) key: &'a Thumbprint,
    /// The key that is proved beside it.
    pub(crate) previous: Option<Previous<'a>>,
}

/// A second proof of the same request, by the key that the server accepted before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Previous<'a> {
    /// That key.
    pub(crate) key: &'a Thumbprint,
    /// Whether it names the other one as its successor.
    pub(crate) names_successor: bool,
}

/// What one proof is made for.
struct Occasion<'a> {
    method: &'a Method,
    url: &'a str,
    token: Option<&'a Secret>,
    successor: Option<&'a Thumbprint>,
}

/// A proof, and what it was made with.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// The header's value.
    pub(crate) header: HeaderValue,
    /// Its nonce.
    pub(crate) nonce: Option<HeaderValue>,
    /// Its `iat`.
    pub(crate) signed_at: UnixTime,
}

impl Upstream {
    /// Sends a proved request; once more with the server's nonce, and once more by its clock, where it asks for that.
    pub(crate) async fn send_signed(&self, request: &Signed<'_>) -> Result<Answer, Unanswered> {
        let (mut nonce_tried, mut clock_tried) = (false, false);
        loop {
            let (headers, proof) = self.prove(request).await?;
            let answer = self
                .send(request.method.clone(), request.url, headers, request.body.clone())
                .await?;
            let error = answer.error();
            let again =
                self.again(answer.status.as_u16(), &answer.headers, error.as_deref(), &proof);
            match again {
                Again::WithNonce if !nonce_tried => nonce_tried = true,
                Again::WithClock(offset) if !clock_tried => {
                    clock_tried = true;
                    self.learn_clock(offset);
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Whether a refusal is worth one more proof.
    pub(crate) fn again(
        &self,
        status: u16,
        headers: &HeaderMap,
        error: Option<&str>,
        proof: &Proof,
    ) -> Again {
        let text = |value: Option<&'_ HeaderValue>| {
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (nonce, sent_nonce) = (text(headers.get(NONCE)), text(proof.nonce.as_ref()));
        Refused {
            status,
            error,
            nonce: nonce.as_deref(),
            sent_nonce: sent_nonce.as_deref(),
            date: super::answer::date(headers),
            signed_at: proof.signed_at,
            now: self.now(),
        }
        .judge()
    }

    /// Makes a proof for a call of the API, by the key in force.
    pub(crate) async fn proof(
        &self,
        method: &Method,
        url: &str,
        token: Option<&Secret>,
    ) -> Result<Proof, Unanswered> {
        let occasion = Occasion { method, url, token, successor: None };
        self.proof_by(&self.keys.current(), &occasion).await
    }

    /// Signs whose store this is, by the key in force and the server's clock.
    pub(crate) async fn ownership(&self, answer: &Ownership<'_>) -> Result<String, CannotSign> {
        let key = self.keys.current();
        let unsigned = answer.unsigned(key.public_key(), self.server_time());
        let signature = key.sign(unsigned.message()).await?;
        Ok(unsigned.signed(&signature))
    }

    /// Makes a proof by the server's clock, with the newest nonce of its origin.
    async fn proof_by(
        &self,
        key: &InstallationKey,
        occasion: &Occasion<'_>,
    ) -> Result<Proof, Unanswered> {
        let &Occasion { method, url, token, successor } = occasion;
        let uri = HttpUri::parse(url).map_err(|_| Unanswered::Unsigned)?;
        let nonce = self.nonce(url);
        let signed_at = self.server_time();
        let draft = Draft {
            method: method.as_str(),
            uri: &uri,
            iat: signed_at,
            jti: &self.entropy.uuid(),
            access_token: token.map(Secret::expose),
            nonce: nonce.as_ref().and_then(|nonce| nonce.to_str().ok()),
            successor,
        };
        let text = key.prove(&draft).await.map_err(|_| Unanswered::KeySilent)?;
        let header = HeaderValue::try_from(text).map_err(|_| Unanswered::Unsigned)?;
        Ok(Proof { header, nonce, signed_at })
    }

    async fn prove(&self, request: &Signed<'_>) -> Result<(HeaderMap, Proof), Unanswered> {
        let &Signed { ref method, url, token, key, previous, .. } = request;
        let find = |key| self.keys.find(key).ok_or(Unanswered::Unsigned);
        let mut occasion = Occasion { method, url, token, successor: None };
        let proof = self.proof_by(&find(key)?, &occasion).await?;
        let mut headers = request.headers.clone();
        headers.insert(DPOP, proof.header.clone());
        if let Some(previous) = previous {
            occasion.successor = previous.names_successor.then_some(key);
            let previous = self.proof_by(&find(previous.key)?, &occasion).await?;
            headers.insert(DPOP_PREVIOUS, previous.header);
        }
        if let Some(token) = request.token {
            headers.insert(AUTHORIZATION, authorization(token).ok_or(Unanswered::Unsigned)?);
        }
        Ok((headers, proof))
    }
}

/// The `Authorization` header that presents a bound token. `None` for a token that no header can carry.
pub(crate) fn authorization(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("DPoP {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
