use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::{
    encoding::sha256,
    proof::{Proof, Window},
    registration::RegistrationResponse,
};
use serde_json::{Map, Value};

use crate::{
    app::App,
    events,
    http::{
        address::ClientAddress,
        error::Refusal,
        extract::{self, DPOP, DPOP_PREVIOUS},
        oauth::proofs::Rule,
    },
    oauth::{
        installation::{self, Address, Candidate, Change, IdentityRefusal},
        profile::{Fitting, Members, Profile, ProfileRefusal},
    },
    store::{NewInstallation, RegisterOutcome, Registration},
};

/// How often a registration is decided again because somebody else was faster.
const ATTEMPTS: usize = 4;

/// Registers a store, or recognises it: 201 for a new one, 200 for a known one.
pub async fn register(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    app.limits.check_registration(ClientAddress::of(&parts.extensions).0)?;
    let body = extract::json_object(&parts, body, app.config.limits.body).await?;
    let platform = text(&body, "platform")?.ok_or_else(|| missing("platform"))?;
    let profile = app
        .profiles
        .get(platform)
        .ok_or_else(|| invalid("This platform's stores cannot register here."))?;
    let proof = judge(&app, &parts.headers, profile)?;
    let fitting = fit(&app, profile, &body)?;
    if fitting.dpop_jkt != proof.thumbprint.to_string() {
        return Err(invalid("dpopJkt is not the thumbprint of the key that signed the proof."));
    }
    let rule = rule(&app, profile);
    let previous = app.judge_proof(&parts.headers, &DPOP_PREVIOUS, &rule)?;

    let mut remembered = false;
    for _ in 0..ATTEMPTS {
        let registration = decide(&app, profile, &fitting, &proof, previous.as_ref()).await?;
        if !std::mem::replace(&mut remembered, true) {
            app.remember_proof(&proof, rule.window)?;
            if let Some(previous) = &previous {
                app.remember_proof(previous, rule.window).map_err(previous_played)?;
            }
        }
        let answer = answer(&registration, profile, &fitting);
        let (client_id, change) =
            (registration.installation.client_id.clone(), registration.change.word());
        if app.store.register(registration).await? == RegisterOutcome::Done {
            events::registered(&client_id, &profile.platform, change, &proof.thumbprint);
            return Ok(answer);
        }
    }
    Err(Refusal::server_error("a registration was overtaken again and again"))
}

fn rule<'a>(app: &'a App, profile: &Profile) -> Rule<'a> {
    Rule {
        method: "POST",
        uri: &app.uris.installations,
        window: Window::NATIVE,
        nonce_required: profile.require_nonce,
        access_token: None,
    }
}

fn judge(app: &App, headers: &HeaderMap, profile: &Profile) -> Result<Proof, Refusal> {
    app.judge_proof(headers, &DPOP, &rule(app, profile))?.ok_or_else(|| {
        Refusal::bad_request(
            "invalid_dpop_proof",
            "A registration must be proved: send a DPoP header signed by the store's key.",
        )
        .with_header(header::WWW_AUTHENTICATE, "DPoP algs=\"ES256\"")
    })
}

fn fit(app: &App, profile: &Profile, body: &Map<String, Value>) -> Result<Fitting, Refusal> {
    let version_member = profile.version_member();
    let members = Members {
        registration_id: text(body, "registrationId")?,
        site_url: text(body, "siteUrl")?,
        redirect_uri: text(body, "redirectUri")?,
        dpop_jkt: text(body, "dpopJkt")?,
        plugin_version: text(body, "pluginVersion")?,
        platform_version: text(body, &version_member)?,
    };
    profile.fit(&members, app.config.local_hosts()).map_err(|refusal| match &refusal {
        ProfileRefusal::Missing(member) => missing(member),
        other => invalid(&sentence(other)),
    })
}

async fn decide(
    app: &App,
    profile: &Profile,
    fitting: &Fitting,
    proof: &Proof,
    previous: Option<&Proof>,
) -> Result<Registration, Refusal> {
    let now = app.now();
    let identity = identity(profile, fitting);
    let known = app.store.installation(&identity).await?;
    let address = Address {
        site_url: fitting.site.as_str().to_owned(),
        redirect_uri: fitting.redirect_uri.clone(),
    };
    let candidate = Candidate {
        address: address.clone(),
        key: proof.thumbprint,
        previous: previous.map(|previous| previous.thumbprint),
        may_move: profile.may_move,
    };
    let change = installation::decide(
        known.as_ref().and_then(|client| client.installation()),
        &candidate,
        now,
    )
    .map_err(refuse_identity)?;
    let known = known.map(|client| {
        let key = client.installation().and_then(|installation| installation.key);
        (client.id, key)
    });
    let client_id = match (&change, &known) {
        (Change::Create, _) | (_, None) => app.entropy.id("mco_app_"),
        (_, Some((id, _))) => id.clone(),
    };
    let installation = NewInstallation {
        client_id,
        name: profile.name.clone(),
        scopes: profile.scope_set().to_string(),
        require_nonce: profile.require_nonce,
        platform: profile.platform.clone(),
        address,
        key: proof.thumbprint,
        plugin_version: fitting.plugin_version.clone(),
        platform_version: fitting.platform_version.clone(),
    };
    Ok(Registration { identity, change, known, installation, now })
}

/// A store is named by its own secret, or by its address where the platform gives it none. Stored as a hash only.
fn identity(profile: &Profile, fitting: &Fitting) -> [u8; 32] {
    let parts = match &fitting.registration_id {
        Some(id) => vec!["id", profile.platform.as_str(), id.expose()],
        None => vec![
            "address",
            profile.platform.as_str(),
            fitting.site.as_str(),
            fitting.redirect_uri.as_str(),
        ],
    };
    sha256(parts.join("\n").as_bytes())
}

fn answer(registration: &Registration, profile: &Profile, fitting: &Fitting) -> Response {
    let new = registration.change == Change::Create;
    let body = RegistrationResponse {
        client_id: registration.installation.client_id.clone(),
        client_type: Some("public".to_owned()),
        dpop_bound: Some(true),
        registration_id: fitting.registration_id.as_ref().map(|id| id.expose().to_owned()),
        redirect_uri: Some(fitting.redirect_uri.clone()),
        scopes: profile.scopes.clone(),
        status: new.then(|| "active".to_owned()),
    };
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// An old key's proof that was used before vouches for nothing: whoever sends it may only have seen it.
fn previous_played(refusal: Refusal) -> Refusal {
    if refusal.status != StatusCode::BAD_REQUEST {
        return refusal;
    }
    let sentence = "The proof in DPoP-Previous was used before, or may have been; make a new one.";
    Refusal::new(StatusCode::UNAUTHORIZED, "invalid_previous_dpop_key", sentence)
        .caused_by(refusal.description.unwrap_or_default())
        .with_header(header::WWW_AUTHENTICATE, "DPoP algs=\"ES256\"")
}

fn refuse_identity(refusal: IdentityRefusal) -> Refusal {
    let (status, code) = match refusal {
        IdentityRefusal::Mismatch => (StatusCode::CONFLICT, "registration_identity_mismatch"),
        IdentityRefusal::PreviousRequired => (StatusCode::UNAUTHORIZED, "previous_dpop_required"),
        IdentityRefusal::PreviousWrong => (StatusCode::UNAUTHORIZED, "invalid_previous_dpop_key"),
    };
    let refused = Refusal::new(status, code, sentence(&refusal));
    match status {
        StatusCode::UNAUTHORIZED => {
            refused.with_header(header::WWW_AUTHENTICATE, "DPoP algs=\"ES256\"")
        }
        _ => refused,
    }
}

/// A member that is a string; `null` counts as absent, anything else is refused.
fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            Ok(Some(text).filter(|text| !text.is_empty()).map(String::as_str))
        }
        Some(_) => Err(invalid(&format!("The member {name} must be a string."))),
    }
}

fn missing(member: &str) -> Refusal {
    Refusal::bad_request(format!("missing_{member}"), format!("The member {member} is required."))
}

fn invalid(description: &str) -> Refusal {
    Refusal::bad_request("invalid_native_installation", description)
}

/// An error's text as a sentence.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}
