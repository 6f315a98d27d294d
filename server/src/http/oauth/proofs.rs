//! Proofs at the OAuth endpoints: one header, judged, and remembered only when all else is settled.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName};
use counterfoil_protocol::{
    proof::{self, Expectation, NonceRule, Proof, ProofRefusal, Window},
    uri::HttpUri,
};

use crate::{
    app::App,
    http::{error::Refusal, extract::single_header},
    oauth::{client::Client, nonce},
    replay::Replayed,
};

/// How one endpoint wants its proofs.
#[derive(Clone, Copy)]
pub struct Rule<'a> {
    /// The method.
    pub method: &'a str,
    /// The endpoint.
    pub uri: &'a HttpUri,
    /// How far the clock may be off.
    pub window: Window,
    /// Whether the server's nonce must be in it.
    pub nonce_required: bool,
    /// The access token that is presented with it.
    pub access_token: Option<&'a str>,
}

impl<'a> Rule<'a> {
    /// For what a client posts to an endpoint where it authenticates by itself, without an access token.
    #[must_use]
    pub fn posted(uri: &'a HttpUri, client: &Client) -> Self {
        Self {
            method: "POST",
            uri,
            window: client.proof_window(),
            nonce_required: client.require_nonce,
            access_token: None,
        }
    }
}

/// What a client's requests are counted under. The id of a store is no secret, so strangers could use up its quota: a
/// store's requests are counted under its id and the key that signs them.
#[must_use]
pub fn counted_as<'a>(client: &'a Client, proof: Option<&Proof>) -> Cow<'a, str> {
    match (client.installation(), proof) {
        (Some(_), Some(proof)) => Cow::Owned(format!("{} {}", client.id, proof.thumbprint)),
        _ => Cow::Borrowed(&client.id),
    }
}

impl App {
    /// Judges the proof in a header, if the header is there. Two headers, or an empty one, are refused.
    pub fn judge_proof(
        &self,
        headers: &HeaderMap,
        name: &HeaderName,
        rule: &Rule<'_>,
    ) -> Result<Option<Proof>, Refusal> {
        let one = single_header(headers, name).map_err(|refusal| {
            Refusal::bad_request("invalid_dpop_proof", refusal.description.unwrap_or_default())
        })?;
        one.map(|text| self.judge_proof_text(text, rule))
            .transpose()
            .map_err(|refusal| self.refuse_proof(&refusal))
    }

    /// Judges the text of a proof.
    pub fn judge_proof_text(&self, text: &str, rule: &Rule<'_>) -> Result<Proof, ProofRefusal> {
        let now = self.now();
        let is_ours = |nonce: &str| nonce::is_ours(self.vault.nonce_key(), nonce, now);
        let nonce = if rule.nonce_required {
            NonceRule::Required(&is_ours)
        } else {
            NonceRule::Optional(&is_ours)
        };
        let expected = Expectation {
            method: rule.method,
            uri: rule.uri,
            now,
            window: rule.window,
            access_token: rule.access_token,
            nonce,
        };
        proof::judge(text, &expected)
    }

    /// Remembers a proof; a second use is refused. Call it when every other check has passed.
    pub fn remember_proof(&self, proof: &Proof, window: Window) -> Result<(), Refusal> {
        // One second more than the window: the proof's time and ours are both cut to whole seconds.
        self.replay.remember(proof, proof.iat + window.past + 1, self.now()).map_err(|replayed| {
            match replayed {
                Replayed::Seen | Replayed::BeforeStart | Replayed::Forgotten => {
                    Refusal::bad_request("invalid_dpop_proof", replayed)
                }
                Replayed::NotRemembered => Refusal::server_error(replayed),
            }
        })
    }

    /// The answer to a proof that was refused.
    #[must_use]
    pub fn refuse_proof(&self, refusal: &ProofRefusal) -> Refusal {
        Refusal::proof(refusal, || self.new_nonce())
    }

    /// The nonce to hand out now.
    #[must_use]
    pub fn new_nonce(&self) -> String {
        nonce::current(self.vault.nonce_key(), self.now())
    }
}
