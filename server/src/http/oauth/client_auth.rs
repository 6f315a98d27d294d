//! Client authentication (RFC 6749 §2.3): `client_secret_basic`, `client_secret_post`, or none for public clients.

use axum::http::{HeaderMap, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use counterfoil_protocol::{
    encoding::{equal_in_constant_time, sha256},
    secret::Secret,
};

use crate::{
    app::App,
    http::{
        error::Refusal,
        extract::{Parameters, single_header},
    },
    oauth::client::Client,
};

/// Compared with when a client has no secret or is unknown, so that both take the same time.
const NO_SECRET: [u8; 32] = [0; 32];

/// How to authenticate.
pub(super) const BASIC_CHALLENGE: &str = "Basic realm=\"counterfoil\"";

struct Presented {
    client_id: String,
    secret: Option<Secret>,
    basic: bool,
}

impl App {
    /// Finds and authenticates the client of a form request.
    ///
    /// Unknown clients, wrong secrets and missing ones all get the same 401 `invalid_client`; with the Basic challenge
    /// when Basic was tried (RFC 6749 §5.2).
    pub async fn authenticate_client(
        &self,
        headers: &HeaderMap,
        form: &Parameters,
    ) -> Result<Client, Refusal> {
        if form.get("client_assertion").is_some() || form.get("client_assertion_type").is_some() {
            return Err(invalid_client(false, "client assertions are not supported"));
        }
        let presented = presented(headers, form)?;
        let client = self.store.client(&presented.client_id, self.now()).await?;
        let app = client.as_ref().and_then(Client::app);
        let expected = app.and_then(|app| app.secret_hash);
        let former = app.and_then(|app| app.former_secret_at(self.now())).map(|it| it.hash);
        let matches = presented.secret.as_ref().map(|secret| {
            let hash = sha256(secret.expose().as_bytes());
            // Both are always compared, so that the time tells nothing.
            let is_current = equal_in_constant_time(&hash, &expected.unwrap_or(NO_SECRET));
            let is_former = equal_in_constant_time(&hash, &former.unwrap_or(NO_SECRET));
            is_current | is_former
        });
        match (client, expected, matches) {
            (Some(client), Some(_), Some(true)) | (Some(client), None, None) => Ok(client),
            (None, ..) => Err(invalid_client(presented.basic, "unknown client")),
            (Some(_), None, Some(_)) => {
                Err(invalid_client(presented.basic, "a public client sent a secret"))
            }
            (Some(_), Some(_), None) => {
                Err(invalid_client(presented.basic, "a confidential client sent no secret"))
            }
            (Some(_), Some(_), Some(false)) => Err(invalid_client(presented.basic, "wrong secret")),
        }
    }
}

fn presented(headers: &HeaderMap, form: &Parameters) -> Result<Presented, Refusal> {
    let in_body = form.get("client_id");
    let posted = form.get("client_secret").map(Secret::new);
    let Some(authorization) = single_header(headers, &header::AUTHORIZATION)? else {
        let client_id = in_body.ok_or_else(|| invalid_client(false, "no client_id"))?.to_owned();
        return Ok(Presented { client_id, secret: posted, basic: false });
    };
    let (client_id, secret) = basic_credentials(authorization)
        .ok_or_else(|| invalid_client(true, "malformed Authorization header"))?;
    if posted.is_some() || in_body.is_some_and(|id| id != client_id) {
        return Err(Refusal::invalid_request(
            "The client is named in two ways that differ, or authenticates twice.",
        ));
    }
    Ok(Presented { client_id, secret: Some(secret), basic: true })
}

/// Both halves are form-encoded before they are joined and encoded (RFC 6749 §2.3.1).
fn basic_credentials(authorization: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let half = |text: &str| {
        let pair = Parameters::parse(format!("x={text}").as_bytes()).ok()?;
        (!text.contains(['&', '='])).then(|| pair.owned("x").unwrap_or_default())
    };
    Some((half(id)?, Secret::new(half(secret)?)))
}

fn invalid_client(basic: bool, cause: &str) -> Refusal {
    let refusal = Refusal::new(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "The client is unknown, or its authentication failed.",
    )
    .caused_by(cause);
    if basic { refusal.with_header(header::WWW_AUTHENTICATE, BASIC_CHALLENGE) } else { refusal }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(credentials: &str) -> Option<(String, String)> {
        basic_credentials(&format!("Basic {}", STANDARD.encode(credentials)))
            .map(|(id, secret)| (id, secret.expose().to_owned()))
    }

    #[test]
    fn both_halves_are_form_encoded() {
        assert_eq!(basic("id:secret"), Some(("id".to_owned(), "secret".to_owned())));
        assert_eq!(basic("id:~~~"), Some(("id".to_owned(), "~~~".to_owned())));
        assert_eq!(STANDARD.encode("id:~~~"), "aWQ6fn5+");
        assert_eq!(basic("a%3Ab:p%25%2B+%C3%A9"), Some(("a:b".to_owned(), "p%+ é".to_owned())));
        for raw in ["no-colon", "a:b%", "a:b%zz", "a&b:c", "a:b=c"] {
            assert_eq!(basic(raw), None, "{raw}");
        }
        for header in [
            "Basic",
            "Basic ",
            "Basic  aWQ6cw==",
            "Basic aWQ6cw",
            "Basic aWQ6cw==x",
            "Basic aWQ6cx==",
            "Basic aWQ6cw== ",
            "Basic aWQ6fn5-",
            "Basic aWQ6\tcw==",
            "Bearer x",
            "Basic ☃",
            "   ",
            "",
        ] {
            assert!(basic_credentials(header).is_none(), "{header}");
        }
    }
}
