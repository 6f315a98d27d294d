//! Adding an endpoint to an application.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::encoding::{base64url, from_base64url_exact};

use super::{SECTION, actor, address, base, name, query, secret, words};
use crate::{
    http::{
        error::Refusal,
        extract::Parameters,
        pages::{
            applications::Before,
            dashboard::Dashboard,
            form,
            frame::{self, Frame, see_other},
            guard::Visit,
        },
    },
    oauth::client::Client,
    partner::event::{EventKind, Patterns},
    store::{AddedEndpoint, Membership, NewEndpoint, Part},
    vault,
    webhooks::{endpoint::MAX_OF_APPLICATION, secret as secrets},
};

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 100;

/// What a person can choose.
const EVENTS: [EventKind; 4] = [
    EventKind::StatusChanged,
    EventKind::LinkCreated,
    EventKind::LinkUpdated,
    EventKind::LinkArchived,
];

#[derive(Template)]
#[template(path = "webhook_form.html")]
struct FormPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    base: String,
    applications: String,
    apps: Vec<Client>,
    /// Names the new endpoint, so that a form that is sent twice makes one.
    nonce: String,
    written: &'a Written,
    events: Vec<Choice>,
    problems: Problems,
}

impl FormPage<'_> {
    const MAX_DESCRIPTION: usize = MAX_DESCRIPTION;
}

/// An event to choose.
struct Choice {
    field: String,
    name: &'static str,
    words: &'static str,
    chosen: bool,
}

/// The fields of the form, as they were written.
#[derive(Default)]
struct Written {
    app: String,
    url: String,
    description: String,
    events: Vec<EventKind>,
}

/// What is wrong, for the places of the form.
#[derive(Default)]
struct Problems {
    app: Option<String>,
    url: Option<String>,
    description: Option<String>,
    events: Option<String>,
}

impl Problems {
    /// Each with the place where it is wrong, in the order of the form.
    fn listed(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("app", &self.app),
            ("url", &self.url),
            ("events", &self.events),
            ("description", &self.description),
        ];
        all.into_iter().filter_map(|(id, text)| Some((id, text.as_deref()?))).collect()
    }

    fn is_empty(&self) -> bool {
        self.listed().is_empty()
    }
}

impl Written {
    fn read(form: &Parameters) -> Self {
        let text = |name: &str| form.get(name).unwrap_or_default().trim().to_owned();
        Self {
            app: text("app"),
            url: text("url"),
            description: text("description"),
            events: EVENTS.into_iter().filter(|kind| form.get(&field(*kind)).is_some()).collect(),
        }
    }

    fn problems(&self, visit: &Visit, apps: &[Client]) -> Problems {
        let mut problems = Problems::default();
        if !apps.iter().any(|app| app.id == self.app) {
            problems.app = Some("Choose one of your company's applications.".to_owned());
        }
        if let Err(refusal) = visit.app.outbound.vet(&self.url) {
            problems.url = Some(refusal.to_string());
        }
        let description = &self.description;
        if description.chars().count() > MAX_DESCRIPTION
            || description.chars().any(char::is_control)
        {
            problems.description = Some(format!(
                "The description is one line of at most {MAX_DESCRIPTION} characters."
            ));
        }
        if self.events.is_empty() {
            problems.events = Some("Choose at least one event.".to_owned());
        }
        problems
    }
}

/// `GET …/webhooks/new`.
pub async fn new(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let app = name(&query(&visit)?, "client");
    let written = Written { app, events: vec![EventKind::StatusChanged], ..Written::default() };
    let nonce = base64url(&visit.app.entropy.bytes::<16>());
    let apps = apps(&visit, &place).await?;
    Ok(render((&visit, &place), apps, nonce, &written, Problems::default()))
}

/// `POST …/webhooks/new`.
pub async fn create(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let app = &visit.app;
    let nonce = visit.form.get("nonce").and_then(from_base64url_exact::<16>);
    let nonce = nonce.ok_or_else(|| form::refused("a form without its name"))?;
    let written = Written::read(&visit.form);
    let apps = apps(&visit, &place).await?;
    let again =
        |apps, problems| Ok(render((&visit, &place), apps, base64url(&nonce), &written, problems));
    let problems = written.problems(&visit, &apps);
    if !problems.is_empty() {
        return again(apps, problems);
    }
    let (plain, sealed) = secrets::new(&app.vault, &*app.entropy);
    let endpoint = NewEndpoint {
        id: id(&visit, &place, nonce),
        client_id: written.app.clone(),
        url: written.url.clone(),
        events: Patterns::of(&written.events),
        description: written.description.clone(),
        secret: sealed,
        now: app.now(),
    };
    let id = endpoint.id.clone();
    let added = app.store.add_endpoint(endpoint, MAX_OF_APPLICATION, &actor(&visit)).await?;
    let problem = match added {
        AddedEndpoint::Added => {
            let shown =
                secret::Shown { id: &id, url: &written.url, secret: &plain, before: Before::None };
            return Ok(secret::page(&visit, &place, &shown));
        }
        // The page was loaded again: a secret is never shown twice.
        AddedEndpoint::Known => {
            return Ok(see_other(&format!("{}?unchanged=yes", address(&place, &id))));
        }
        AddedEndpoint::Full => {
            format!("This application has {MAX_OF_APPLICATION} endpoints, as many as it may have.")
        }
        AddedEndpoint::NoApplication => "This application is there no more.".to_owned(),
    };
    again(apps, Problems { app: Some(problem), ..Problems::default() })
}

/// The applications that are told of anything: an API of the company's own, which only checks tokens, is not.
async fn apps(visit: &Visit, place: &Membership) -> Result<Vec<Client>, Refusal> {
    let apps = visit.app.store.apps(Some(&place.company.id), Part::WHOLE).await?;
    let told = |client: &Client| client.app().is_some_and(|app| !app.resource_server);
    Ok(apps.into_iter().filter(told).collect())
}

/// Made of what names the form, so that a form that is sent twice names the same endpoint; whoever sends it has no choice
/// in it.
fn id(visit: &Visit, place: &Membership, nonce: [u8; 16]) -> String {
    let message = [&b"webhook endpoint "[..], &nonce, place.company.id.as_bytes()].concat();
    let tag = vault::mac(visit.app.vault.csrf_key(), &message);
    format!("mpwhep_{}", base64url(&tag[..16]))
}

fn field(kind: EventKind) -> String {
    format!("event:{}", kind.name())
}

fn render(
    (visit, place): (&Visit, &Membership),
    apps: Vec<Client>,
    nonce: String,
    written: &Written,
    problems: Problems,
) -> Response {
    let choice = |kind: EventKind| Choice {
        field: field(kind),
        name: kind.name(),
        words: words::event(kind.name()),
        chosen: written.events.contains(&kind),
    };
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let template = FormPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(visit, place, SECTION),
        base: base(place),
        applications: format!("/companies/{}/applications", place.company.id),
        apps,
        nonce,
        written,
        events: EVENTS.map(choice).into(),
        problems,
    };
    frame::page(status, &template, None)
}
