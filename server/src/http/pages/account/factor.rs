//! `/account/codes`: one-time codes, set up and turned off.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::{encoding::sha256, secret::Secret};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::{
    app::App,
    audit::Actor,
    events,
    http::{
        address::ClientAddress,
        error::Refusal,
        pages::{
            confirmation::{self, Confirmation},
            dashboard::Dashboard,
            factor::{locked, wrong},
            frame::{self, Frame},
            guard::Visit,
            problem::{Problem, status_of},
            session::{SignedIn, Standing},
            visitor::append_cookies,
        },
    },
    people::{
        second_factor::{self, FactorOutcome, RECOVERY_CODES},
        totp,
    },
    store::{FactorUse, User},
    vault::Purpose,
};

const IN_USE: &str = "Codes are turned on already.";
const NOT_BEGUN: &str = "Codes were turned off meanwhile. Begin once more.";

#[derive(Template)]
#[template(path = "codes.html")]
struct CodesPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    stage: Stage,
    confirmation: Confirmation<'a>,
    problem: Option<&'a Problem>,
}

/// How far it is.
enum Stage {
    /// There is none.
    Off,
    /// The key is shown, and its first code is waited for.
    Begun {
        /// In groups of four.
        key: String,
        uri: Zeroizing<String>,
    },
    /// In use.
    On { recovery_codes: usize },
    /// In use from now on: the recovery codes, shown once.
    New { recovery_codes: Vec<String> },
}

/// `GET /account/codes`.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    render(&visit, None).await
}

/// `POST /account/codes/begin`: makes a key, for somebody who knows the password.
pub async fn begin(visit: Visit) -> Result<Response, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    if let Err(problem) = confirmation::judge(&visit, "confirm-password").await? {
        return render(&visit, Some(&problem)).await;
    }
    let secret = Zeroizing::new(app.entropy.bytes::<{ totp::SECRET_LENGTH }>());
    let sealed = app.vault.seal(Purpose::SecondFactor, secret.as_slice(), &*app.entropy);
    if !app.store.begin_second_factor(&user.id, sealed).await? {
        return render(&visit, Some(&Problem::new(StatusCode::CONFLICT, IN_USE))).await;
    }
    Ok(frame::see_other("/account/codes"))
}

/// `POST /account/codes/confirm`: the first code, after which it is in use.
pub async fn confirm(mut visit: Visit) -> Result<Response, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    let Some(seen) = app.store.second_factor(&user.id).await? else {
        return render(&visit, Some(&Problem::new(StatusCode::CONFLICT, NOT_BEGUN))).await;
    };
    if seen.confirmed_at.is_some() {
        return render(&visit, Some(&Problem::new(StatusCode::CONFLICT, IN_USE))).await;
    }
    let typed = Secret::new(visit.form.get("code").unwrap_or_default());
    let becomes = seen.judge(&app.open_factor(&seen)?, typed.expose(), app.now());
    if let FactorOutcome::Locked { .. } = becomes {
        return render(&visit, Some(&locked())).await;
    }
    let codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| second_factor::recovery_code(app.entropy.bytes::<10>()))
        .collect();
    let hashes = codes.iter().map(|code| sha256(second_factor::plain(code).as_bytes())).collect();
    let factor_use = FactorUse { user_id: user.id.clone(), seen, becomes, now: app.now() };
    let this = visit.signed_in.session.hash;
    let written = app.store.confirm_second_factor(factor_use, hashes, this).await?;
    if !written || !becomes.is_right() {
        return render(&visit, Some(&wrong())).await;
    }
    events::second_factor_on(&user.id);
    app.notify(
        user,
        "One-time codes were turned on for your account. Every other browser was signed out.",
        "ask for a new password at once, and tell support: somebody else's app makes the codes.",
    )
    .await;
    let address = ClientAddress::of(&visit.parts.extensions);
    let mut new = app.new_session(user, &visit.parts.headers, address, Standing::Proved);
    new.session.provider.clone_from(&visit.signed_in.session.provider);
    app.end_session(&visit.parts.headers).await?;
    app.store.start_session(new.session.clone(), app.now()).await?;
    let signed_in = SignedIn { cookie: new.cookie, session: new.session, user: user.clone() };
    visit.signed_in = signed_in;
    let stage = Stage::New { recovery_codes: codes };
    let mut response = page(&visit, stage, None).await?;
    append_cookies(&mut response, [new.set]);
    Ok(response)
}

/// `POST /account/codes/off`: with the password and a code.
pub async fn remove(visit: Visit) -> Result<Response, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    if let Err(problem) = confirmation::judge(&visit, "confirm-password").await? {
        return render(&visit, Some(&problem)).await;
    }
    let code = Secret::new(visit.form.get("code").unwrap_or_default());
    if let Err(problem) = app.check_code(user, &code).await? {
        return render(&visit, Some(&problem)).await;
    }
    let actor = Actor::User(user.id.clone());
    if app.store.remove_second_factor(&user.id, &actor, app.now()).await? {
        events::second_factor_off(&user.id);
        app.notify(
            user,
            "One-time codes were turned off for your account.",
            "change your password at once, and turn codes on again.",
        )
        .await;
    }
    Ok(frame::see_other("/account?done=codes-off"))
}

/// What an app needs, as one link (Google's key URI format, which all take).
pub fn key_uri(app: &App, user: &User, secret: &[u8]) -> Zeroizing<String> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let brand = encoded(&app.config.brand.name);
    let key = Zeroizing::new(totp::base32(secret));
    let email = encoded(&user.email);
    Zeroizing::new(format!(
        "otpauth://totp/{brand}:{email}?secret={}&issuer={brand}&algorithm=SHA1&digits=6&period=30",
        key.as_str()
    ))
}

async fn render(visit: &Visit, problem: Option<&Problem>) -> Result<Response, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    let stage = match app.store.second_factor(&user.id).await? {
        None => Stage::Off,
        Some(factor) if factor.confirmed_at.is_some() => {
            Stage::On { recovery_codes: factor.recovery_codes.len() }
        }
        Some(factor) => {
            let secret = app.open_factor(&factor)?;
            let groups: Vec<_> =
                totp::base32(&secret).as_bytes().chunks(4).map(<[u8]>::to_vec).collect();
            let key = String::from_utf8_lossy(&groups.join(&b' ')).into_owned();
            Stage::Begun { key, uri: key_uri(app, user, &secret) }
        }
    };
    page(visit, stage, problem).await
}

async fn page(visit: &Visit, stage: Stage, problem: Option<&Problem>) -> Result<Response, Refusal> {
    let template = CodesPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_person(visit),
        stage,
        confirmation: confirmation::of(&visit.app, &visit.signed_in).await?,
        problem,
    };
    Ok(frame::page(status_of(problem), &template, None))
}
