//! `POST /v1/proofs`: signs one request to the API for a plugin that sends it itself. Off unless configured.

use hyper::{Method, Request, StatusCode, body::Incoming};
use serde::{Deserialize, Serialize};

use super::{App, Pass, Response, paths, problem::json, routes::control_body};
use crate::{
    trouble::{Code, Trouble},
    upstream::Unanswered,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofBody {
    method: String,
    url: String,
}

#[derive(Serialize)]
struct Signed<'a> {
    authorization: &'a str,
    dpop: &'a str,
}

/// Signs, always with `ath`: such a proof is good for the API alone, never for tokens or registrations.
pub(super) async fn sign(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let ProofBody { method, url } = control_body(request).await?;
    let method = method_of(&method)?;
    let Pass { situation, token } = app.token(None).await?;
    paths::check_url(&situation.config.api_base, &url)?;
    let upstream = &situation.working()?.upstream;
    let unsigned = |reason| match reason {
        Unanswered::KeySilent => Trouble::of(Code::KeyUnavailable),
        _ => Trouble::of(Code::Internal),
    };
    let proof = upstream.proof(&method, &url, Some(&token)).await.map_err(unsigned)?;
    let authorization = format!("DPoP {}", token.expose());
    let dpop = proof.header.to_str().map_err(|_| Trouble::of(Code::Internal))?;
    Ok(json(StatusCode::OK, &Signed { authorization: &authorization, dpop }))
}

fn method_of(text: &str) -> Result<Method, Trouble> {
    const METHODS: [Method; 6] =
        [Method::DELETE, Method::GET, Method::HEAD, Method::PATCH, Method::POST, Method::PUT];
    METHODS.into_iter().find(|method| method.as_str() == text).ok_or_else(|| {
        Trouble::new(
            Code::BodyMalformed,
            "The plugin's request is not understood: method is one of DELETE, GET, HEAD, PATCH, POST, PUT.",
        )
    })
}
