//! The steps of a conversation, and what may become of each.

use hyper::Method;

use super::Forgery;

/// One kind of request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// The server's description of itself.
    Discovery,
    /// Registration of the installation.
    Registration,
    /// A pushed authorization request.
    Push,
    /// A code is redeemed.
    Code,
    /// A refresh token is redeemed.
    Refresh,
    /// The key asks for a new token family.
    Recovery,
    /// The server's keys.
    Jwks,
    /// The key is changed.
    KeyChange,
    /// The webhook subscription.
    Webhook,
    /// The installation is reset.
    Reset,
    /// A token is revoked.
    Revoke,
    /// A call of the API.
    Api,
    /// Everything else: the pages that people see.
    Page,
}

impl Step {
    pub(super) fn of(method: &Method, path: &str, body: &[u8]) -> Self {
        let body = std::str::from_utf8(body).unwrap_or_default();
        let grant = |name: &str| body.contains(&format!("grant_type={name}"));
        match path {
            "/.well-known/oauth-authorization-server" => Self::Discovery,
            "/oauth/native/installations" if method == Method::DELETE => Self::Reset,
            "/oauth/native/installations" => Self::Registration,
            "/oauth/native/installations/key" => Self::KeyChange,
            "/oauth/par" => Self::Push,
            "/oauth/token" if grant("authorization_code") => Self::Code,
            "/oauth/token" if grant("refresh_token") => Self::Refresh,
            "/oauth/token" => Self::Recovery,
            "/oauth/jwks.json" => Self::Jwks,
            "/oauth/revoke" => Self::Revoke,
            _ if path.contains("/webhook-") => Self::Webhook,
            _ if path.starts_with("/api/") => Self::Api,
            _ => Self::Page,
        }
    }
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Behaviour {
    /// It is answered by the server.
    Pass,
    /// The server never sees it; the connection ends.
    LoseRequest,
    /// The server has done it; the connection ends.
    LoseAnswer,
    /// The server never sees it; this status comes.
    Refuse(u16),
    /// The server has done it; this status comes.
    Hide(u16),
    /// The server never sees it; a new nonce is asked for.
    Challenge,
    /// It waits for [`super::Front::release`] before the server sees it.
    Hold,
    /// Its answer waits for [`super::Front::release`].
    HoldAnswer,
    /// Half of the answer comes.
    Truncate,
    /// The server has done it; a page for people comes.
    Html,
    /// The server has done it; an object comes that means nothing.
    WrongJson,
    /// The server never sees it; an older answer of the token endpoint comes.
    OldAnswer,
    /// The server has done it; the access token in its answer is changed.
    Forge(Forgery),
    /// A redirect comes.
    Redirect,
    /// The connection is reset.
    Reset,
    /// The server never sees it; it comes that the token family has ended.
    LoseFamily,
    /// An API's refusal of the access token comes.
    RejectToken,
}
