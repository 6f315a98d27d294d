//! Making an application, and changing one: the same form.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::{
    encoding::{base64url, from_base64url_exact},
    secret::Secret,
};

use super::{
    Found, SECTION, actor,
    draft::{Choice, Problems, Written, choices},
    find, must_be_done,
    secret::{self, Before},
};
use crate::{
    http::{
        error::Refusal,
        pages::{
            dashboard::Dashboard,
            form,
            frame::{self, Frame, see_other},
            guard::Visit,
        },
    },
    oauth::{
        application::{MAX_APPLICATIONS, MAX_NAME, MAX_REDIRECT_URIS, Settings, judge},
        client::{About, App, Client, ClientKind},
    },
    store::{AddedApp, AppChange, Changed, Membership},
    vault,
};

#[derive(Template)]
#[template(path = "application_form.html")]
struct FormPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    /// Where the form goes, and where one goes who gives up.
    action: String,
    back: String,
    /// The application that is changed, and its version.
    known: Option<(&'a str, i64)>,
    /// Names a new application, so that a form that is sent twice makes one.
    nonce: String,
    written: &'a Written,
    scopes: [(&'static str, Vec<Choice<'a>>); 2],
    problems: Problems,
    /// What stands in the way of the whole form.
    notice: Option<&'a str>,
}

impl FormPage<'_> {
    const MAX_NAME: usize = MAX_NAME;
    const MAX_REDIRECT_URIS: usize = MAX_REDIRECT_URIS;
}

/// `GET …/applications/new`.
pub async fn new(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let nonce = base64url(&visit.app.entropy.bytes::<16>());
    let problems = Problems::default();
    Ok(render_new(&visit, &place, &nonce, &Written::default(), problems, None))
}

/// `POST …/applications/new`.
pub async fn create(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let app = &visit.app;
    let nonce = visit.form.get("nonce").and_then(from_base64url_exact::<16>);
    let nonce = nonce.ok_or_else(|| form::refused("a form without its name"))?;
    let again = |written: &Written, problems, notice| {
        Ok(render_new(&visit, &place, &base64url(&nonce), written, problems, notice))
    };
    let known = app.scopes();
    let written = Written::read(&visit.form, &known);
    let settings = match judge(&written.draft(), &known, true) {
        Ok(settings) => settings,
        Err(faults) => return again(&written, Problems(faults), None),
    };
    let secret = (!written.is_public).then(|| Secret::new(app.entropy.secret("mco_sec_")));
    let client = Client {
        id: id(&visit, &place, nonce),
        name: settings.name.clone(),
        scopes: settings.scopes.clone(),
        require_nonce: false,
        created_at: app.now(),
        kind: ClientKind::App(details(settings, &place, secret.as_ref())),
    };
    let shown = format!("/companies/{}/{SECTION}/{}", place.company.id, client.id);
    match app.store.add_app(client.clone(), &actor(&visit), MAX_APPLICATIONS).await? {
        AddedApp::Added => match secret {
            Some(secret) => Ok(secret::page(&visit, &place, &client, &secret, Before::None)),
            None => Ok(see_other(&shown)),
        },
        AddedApp::Known => Ok(see_other(&shown)),
        AddedApp::Full => {
            let notice = "Your company has as many applications as it may have. Delete one first.";
            again(&written, Problems::default(), Some(notice))
        }
        AddedApp::Closed => Err(super::not_found()),
    }
}

/// `GET …/applications/{app}/change`.
pub async fn edit(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = find(&visit, &place).await?;
    let written = Written::of(&found.client, &found.app);
    Ok(render_change(&visit, &place, &found, &written, Problems::default(), None))
}

/// `POST …/applications/{app}/change`.
pub async fn change(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = find(&visit, &place).await?;
    let known = visit.app.scopes();
    let written = Written::read(&visit.form, &known);
    let again =
        |problems, notice| Ok(render_change(&visit, &place, &found, &written, problems, notice));
    let settings = match judge(&written.draft(), &known, !found.app.resource_server) {
        Ok(settings) => settings,
        Err(faults) => return again(Problems(faults), None),
    };
    let change = AppChange::Settings(settings);
    match visit.app.store.change_app(found.edit(&visit), change).await? {
        Changed::Raced => again(
            Problems::default(),
            Some(
                "Somebody changed this application meanwhile. Save again to put yours in place of that.",
            ),
        ),
        changed => {
            must_be_done(changed)?;
            Ok(see_other(&found.path("")))
        }
    }
}

/// The id is made of what names the form, so that a form that is sent twice names the same application; whoever sends
/// it has no choice in it.
fn id(visit: &Visit, place: &Membership, nonce: [u8; 16]) -> String {
    let message = [&b"application "[..], &nonce, place.company.id.as_bytes()].concat();
    let tag = vault::mac(visit.app.vault.csrf_key(), &message);
    format!("mco_app_{}", base64url(&tag[..16]))
}

fn details(settings: Settings, place: &Membership, secret: Option<&Secret>) -> App {
    let Settings { redirect_uris, support, privacy_url, terms_url, .. } = settings;
    App {
        company_id: place.company.id.clone(),
        secret_hash: secret.map(Secret::sha256),
        redirect_uris,
        about: About { support, privacy_url, terms_url, icon: None },
        version: 1,
        ..App::default()
    }
}

fn render_new(
    visit: &Visit,
    place: &Membership,
    nonce: &str,
    written: &Written,
    problems: Problems,
    notice: Option<&str>,
) -> Response {
    let list = format!("/companies/{}/{SECTION}", place.company.id);
    let template = FormPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(visit, place, SECTION),
        action: format!("{list}/new"),
        back: list,
        known: None,
        nonce: nonce.to_owned(),
        written,
        scopes: choices(visit.app.scopes(), |scope| visit.app.config.in_words(scope), written),
        problems,
        notice,
    };
    respond(&template)
}

fn render_change(
    visit: &Visit,
    place: &Membership,
    found: &Found,
    written: &Written,
    problems: Problems,
    notice: Option<&str>,
) -> Response {
    let template = FormPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(visit, place, SECTION),
        action: found.path("/change"),
        back: found.path(""),
        known: Some((&found.client.name, found.app.version)),
        nonce: String::new(),
        written,
        scopes: choices(visit.app.scopes(), |scope| visit.app.config.in_words(scope), written),
        problems,
        notice,
    };
    respond(&template)
}

fn respond(template: &FormPage<'_>) -> Response {
    let well = template.problems.0.is_empty() && template.notice.is_none();
    let status = if well { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    frame::page(status, template, None)
}
