//! Authorization requests: judged the same way whether pushed (RFC 9126) or carried by a browser (RFC 6749 §4.1.1).

use counterfoil_protocol::{
    UnixTime,
    jwk::Thumbprint,
    pkce::{Challenge, PkceRefusal},
    scope::ScopeSet,
};
use serde::{Deserialize, Serialize};

use super::{
    client::{Client, ClientKind},
    installation::Slot,
    profile::Profile,
};

/// The longest `state` accepted, in bytes.
pub const MAX_STATE_LENGTH: usize = 2_048;

/// The parameters that matter, each named at most once. Empty values count as absent (RFC 6749 §3.1).
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    /// `response_type`.
    pub response_type: Option<String>,
    /// `response_mode`.
    pub response_mode: Option<String>,
    /// `redirect_uri`.
    pub redirect_uri: Option<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `state`.
    pub state: Option<String>,
    /// `code_challenge`.
    pub code_challenge: Option<String>,
    /// `code_challenge_method`.
    pub code_challenge_method: Option<String>,
    /// `dpop_jkt`.
    pub dpop_jkt: Option<String>,
    /// `resource`, which alone may be named several times (RFC 8707 §2).
    pub resource: Vec<String>,
    /// `request` (RFC 9101), which we do not take.
    pub request: Option<String>,
    /// `registration` (OpenID Connect Core §7.2.1), which we do not take.
    pub registration: Option<String>,
}

/// A request that was found good.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AuthorizationRequest {
    /// The client.
    pub client_id: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What is asked for.
    pub scope: ScopeSet,
    /// Handed back with the answer.
    pub state: Option<String>,
    /// The PKCE challenge.
    pub challenge: String,
    /// The key the code will be bound to.
    pub key: Option<Thumbprint>,
    /// The resource the tokens are for.
    pub resource: String,
}

/// Why a request was refused, and whether its callback may be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestRefusal {
    /// What is wrong.
    pub fault: Fault,
    /// Where the browser may be sent with the error: only a callback that was found good, and never a store's.
    pub redirect: Option<Redirect>,
}

/// A checked callback and the state that goes with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Redirect {
    /// The callback.
    pub uri: String,
    /// The request's state.
    pub state: Option<String>,
}

/// What can be wrong with an authorization request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// `dpop_jkt` is not a thumbprint.
    #[error("dpop_jkt is not a key thumbprint")]
    DpopJkt,
    /// `dpop_jkt` and the request's proof name different keys (RFC 9449 §10.1).
    #[error("dpop_jkt is not the key that signed the proof")]
    KeysDiffer,
    /// The key is neither the installation's own nor the one that waits for approval.
    #[error("the key is not registered for this installation")]
    KeyUnknown,
    /// No PKCE challenge, or not S256.
    #[error("a code_challenge with code_challenge_method=S256 is required")]
    PkceRequired,
    /// A malformed PKCE challenge.
    #[error("{0}")]
    Pkce(#[from] PkceRefusal),
    /// `redirect_uri` is absent.
    #[error("redirect_uri is required")]
    RedirectUriMissing,
    /// `redirect_uri` is not registered, byte for byte.
    #[error("redirect_uri is not registered for this client")]
    RedirectUriUnknown,
    /// `registration` is not supported.
    #[error("clients cannot be described in a request; they are registered before")]
    Registration,
    /// `request` is not supported.
    #[error("request objects are not supported")]
    RequestObject,
    /// `resource` is required here.
    #[error("resource is required")]
    ResourceMissing,
    /// `resource` names something we do not serve.
    #[error("resource does not name the API of this server")]
    ResourceUnknown,
    /// `response_mode` is not query.
    #[error("only response_mode=query is supported")]
    ResponseMode,
    /// `response_type` is absent.
    #[error("response_type is required")]
    ResponseTypeMissing,
    /// `response_type` is not code.
    #[error("only response_type=code is supported")]
    ResponseTypeUnsupported,
    /// A scope outside the grammar, unknown, or not this client's.
    #[error("scope names something that this client may not ask for")]
    Scope,
    /// The profile wants all its scopes asked for.
    #[error("scope must name every scope of this integration")]
    ScopeIncomplete,
    /// `state` is required here.
    #[error("state is required")]
    StateMissing,
    /// `state` is too long or not printable ASCII.
    #[error("state must be at most {MAX_STATE_LENGTH} printable characters")]
    StateMalformed,
}

impl Fault {
    /// The RFC's code, for PAR and for redirects.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::KeysDiffer | Self::KeyUnknown => "invalid_dpop_proof",
            Self::Scope | Self::ScopeIncomplete => "invalid_scope",
            Self::ResourceMissing | Self::ResourceUnknown => "invalid_target",
            Self::ResponseTypeUnsupported => "unsupported_response_type",
            Self::Registration => "registration_not_supported",
            Self::RequestObject => "request_not_supported",
            _ => "invalid_request",
        }
    }
}

/// What the server knows when it judges a request.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The client.
    pub client: &'a Client,
    /// The client's profile, when it is a native installation.
    pub profile: Option<&'a Profile>,
    /// The one resource we serve.
    pub resource: &'a str,
    /// The key that signed the proof that came with the request.
    pub proof_key: Option<&'a Thumbprint>,
    /// The time now.
    pub now: UnixTime,
}

/// Judges a request. For a store's request no error may redirect: its callback was registered by the store itself,
/// and nobody has looked at it yet (RFC 9700 §4.11.2).
pub fn judge(
    parameters: &Parameters,
    context: &Context<'_>,
) -> Result<AuthorizationRequest, RequestRefusal> {
    let in_place = |fault| RequestRefusal { fault, redirect: None };
    let redirect_uri =
        parameters.redirect_uri.clone().ok_or(in_place(Fault::RedirectUriMissing))?;
    if !callback_is_registered(context.client, &redirect_uri, context.now) {
        return Err(in_place(Fault::RedirectUriUnknown));
    }
    let state_is_plain = |state: &String| {
        state.len() <= MAX_STATE_LENGTH && state.bytes().all(|b| (0x20..0x7f).contains(&b))
    };
    if !parameters.state.as_ref().is_none_or(state_is_plain) {
        return Err(in_place(Fault::StateMalformed));
    }
    let native = context.client.installation().is_some();
    let redirect =
        (!native).then(|| Redirect { uri: redirect_uri.clone(), state: parameters.state.clone() });
    judge_members(parameters, context, redirect_uri)
        .map_err(|fault| RequestRefusal { fault, redirect })
}

/// Whether a callback is the client's, byte for byte.
pub(super) fn callback_is_registered(client: &Client, redirect_uri: &str, now: UnixTime) -> bool {
    match &client.kind {
        ClientKind::Native(installation) => {
            let moved = installation.staged_at(now).and_then(|staged| staged.moved_to.as_ref());
            installation.redirect_uri == redirect_uri
                || moved.is_some_and(|to| to.redirect_uri == redirect_uri)
        }
        ClientKind::App(app) => {
            let public = app.secret_hash.is_none();
            app.redirect_uris.iter().any(|registered| registered.admits(redirect_uri, public))
        }
    }
}

fn judge_members(
    parameters: &Parameters,
    context: &Context<'_>,
    redirect_uri: String,
) -> Result<AuthorizationRequest, Fault> {
    if parameters.request.is_some() {
        return Err(Fault::RequestObject);
    }
    if parameters.registration.is_some() {
        return Err(Fault::Registration);
    }
    match parameters.response_type.as_deref() {
        Some("code") => {}
        Some(_) => return Err(Fault::ResponseTypeUnsupported),
        None => return Err(Fault::ResponseTypeMissing),
    }
    if parameters.response_mode.as_deref().is_some_and(|mode| mode != "query") {
        return Err(Fault::ResponseMode);
    }
    let challenge = parameters.code_challenge.as_deref().ok_or(Fault::PkceRequired)?;
    if parameters.code_challenge_method.as_deref() != Some("S256") {
        return Err(Fault::PkceRequired);
    }
    let challenge = Challenge::parse(challenge)?.as_str().to_owned();
    let scope = judge_scope(parameters, context)?;
    let resource_required = context.profile.is_some_and(|profile| profile.resource_required);
    judge_resource(&parameters.resource, context.resource, resource_required)?;
    let declared = parameters
        .dpop_jkt
        .as_deref()
        .map(str::parse::<Thumbprint>)
        .transpose()
        .map_err(|_| Fault::DpopJkt)?;
    let key = match (declared, context.proof_key) {
        (Some(declared), Some(signed)) if !declared.matches(signed) => {
            return Err(Fault::KeysDiffer);
        }
        (declared, signed) => declared.or(signed.copied()),
    };
    if let Some(installation) = context.client.installation() {
        let slot: Option<Slot> =
            key.and_then(|key| installation.slot(&key, &redirect_uri, context.now));
        slot.ok_or(Fault::KeyUnknown)?;
        if parameters.state.is_none() {
            return Err(Fault::StateMissing);
        }
    }
    Ok(AuthorizationRequest {
        client_id: context.client.id.clone(),
        redirect_uri,
        scope,
        state: parameters.state.clone(),
        challenge,
        key,
        resource: context.resource.to_owned(),
    })
}

fn judge_scope(parameters: &Parameters, context: &Context<'_>) -> Result<ScopeSet, Fault> {
    let allowed = &context.client.scopes;
    let all_required = context.profile.is_some_and(|profile| profile.all_scopes_required);
    let Some(text) = parameters.scope.as_deref() else {
        return if all_required { Err(Fault::ScopeIncomplete) } else { Ok(allowed.clone()) };
    };
    let scope = ScopeSet::parse(text).map_err(|_| Fault::Scope)?;
    if scope.is_empty() || !allowed.contains_all(&scope) {
        return Err(Fault::Scope);
    }
    if all_required && !scope.contains_all(allowed) {
        return Err(Fault::ScopeIncomplete);
    }
    Ok(scope)
}

/// Checks the `resource` parameters of a request against the one we serve (RFC 8707 §2).
pub fn judge_resource(named: &[String], ours: &str, required: bool) -> Result<(), Fault> {
    match named {
        [] if required => Err(Fault::ResourceMissing),
        [] => Ok(()),
        [one] if one == ours => Ok(()),
        _ => Err(Fault::ResourceUnknown),
    }
}

#[cfg(test)]
mod tests;
