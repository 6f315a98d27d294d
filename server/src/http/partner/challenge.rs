//! The refusals of the guard and their challenges: `WWW-Authenticate` as RFC 6750 §3, RFC 9449 §7.1 and RFC 9728 §5.1
//! say.

use axum::http::{StatusCode, header};
use counterfoil_protocol::proof::ProofRefusal;

use super::metadata;
use crate::{
    app::App,
    http::error::{DPOP_NONCE, Refusal},
    partner::access::Scheme,
};

/// No credentials, or of a kind that is not taken: the challenges name no error.
pub(super) fn no_credentials(app: &App, cause: &str) -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        "invalid_token",
        "This API needs an access token: Authorization: Bearer, or for a token that is bound to a key Authorization: DPoP with a proof in the DPoP header.",
    )
    .caused_by(cause)
    .with_header(header::WWW_AUTHENTICATE, &challenge(app, Scheme::Dpop, None))
    .with_header(header::WWW_AUTHENTICATE, &challenge(app, Scheme::Bearer, None))
    .with_header(DPOP_NONCE, &app.new_nonce())
}

/// 400: the credentials cannot be read, or there are too many.
pub(super) fn malformed(app: &App, sentence: &str) -> Refusal {
    refuse(app, Scheme::Dpop, StatusCode::BAD_REQUEST, "invalid_request", sentence)
}

/// 401 `invalid_token`. The wire hears no more than that it is not good; the log hears why.
pub(super) fn invalid_token(app: &App, scheme: Scheme, cause: impl ToString) -> Refusal {
    let sentence = "The access token is not valid here, has expired or was revoked, or was not sent the way it must be.";
    refuse(app, scheme, StatusCode::UNAUTHORIZED, "invalid_token", sentence).caused_by(cause)
}

/// 401 for a proof: `use_dpop_nonce` with the nonce, else `invalid_dpop_proof`.
pub(super) fn proof(app: &App, refusal: &ProofRefusal) -> Refusal {
    if *refusal == ProofRefusal::Nonce {
        refuse(app, Scheme::Dpop, StatusCode::UNAUTHORIZED, "use_dpop_nonce", refusal)
    } else {
        invalid_proof(app, refusal)
    }
}

/// 401 `invalid_dpop_proof`.
pub(super) fn invalid_proof(app: &App, sentence: impl ToString) -> Refusal {
    refuse(app, Scheme::Dpop, StatusCode::UNAUTHORIZED, "invalid_dpop_proof", sentence)
}

/// 403 `insufficient_scope`: the challenge names all scopes that are needed (RFC 6750 §3), the sentence those that the
/// token does not have. Both are separated by spaces.
pub(in crate::http) fn insufficient_scope(
    app: &App,
    scheme: Scheme,
    needed: &str,
    missing: &str,
) -> Refusal {
    let error = format!("error=\"insufficient_scope\", scope=\"{needed}\"");
    let scopes = if missing.contains(' ') { "scopes" } else { "scope" };
    let sentence = format!("The access token does not have the {scopes} {missing}.");
    Refusal::new(StatusCode::FORBIDDEN, "insufficient_scope", sentence)
        .with_header(header::WWW_AUTHENTICATE, &challenge(app, scheme, Some(&error)))
}

fn refuse(
    app: &App,
    scheme: Scheme,
    status: StatusCode,
    code: &str,
    sentence: impl ToString,
) -> Refusal {
    let error = format!("error=\"{code}\"");
    let refusal = Refusal::new(status, code, sentence)
        .with_header(header::WWW_AUTHENTICATE, &challenge(app, scheme, Some(&error)));
    if status == StatusCode::UNAUTHORIZED && scheme == Scheme::Dpop {
        // Whatever is wrong: there are clients that cannot read a 401 of the DPoP scheme without a nonce.
        refusal.with_header(DPOP_NONCE, &app.new_nonce())
    } else {
        refusal
    }
}

fn challenge(app: &App, scheme: Scheme, error: Option<&str>) -> String {
    let algorithms = match scheme {
        Scheme::Dpop => Some("algs=\"ES256\""),
        Scheme::Bearer => None,
    };
    let metadata = format!("resource_metadata=\"{}{}\"", app.config.issuer, metadata::PATH);
    let parameters: Vec<_> = error.into_iter().chain(algorithms).chain([&*metadata]).collect();
    format!("{} {}", scheme.as_str(), parameters.join(", "))
}
