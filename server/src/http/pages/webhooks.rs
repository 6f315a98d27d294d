//! `/companies/{company}/webhooks`: where notifications go, and what became of each.

mod delivery;
mod one;
mod operate;
mod secret;
mod words;
mod write;

use askama::Template;
use axum::{
    http::{Method, StatusCode},
    response::Response,
};
use form_urlencoded::Serializer;

use self::words::Word;
use super::{
    dashboard::Dashboard,
    frame::{self, Frame},
    guard::{Pages, Visit, not_found},
    moment::Moment,
};
use crate::{
    audit::Actor,
    http::{error::Refusal, extract::Parameters},
    people::role::Act::{ManageWebhooks, OperateWebhooks, SeeWebhooks},
    store::{EndpointQuery, ListedEndpoint, Membership},
};

/// Where the part begins, below `/companies/{company}/`.
pub const SECTION: &str = "webhooks";

const LIST: &str = "/companies/{company}/webhooks";
const NEW: &str = "/companies/{company}/webhooks/new";
const ONE: &str = "/companies/{company}/webhooks/{endpoint}";
const TEST: &str = "/companies/{company}/webhooks/{endpoint}/test";
const ENABLE: &str = "/companies/{company}/webhooks/{endpoint}/enable";
const DISABLE: &str = "/companies/{company}/webhooks/{endpoint}/disable";
const SECRET: &str = "/companies/{company}/webhooks/{endpoint}/secret";
const DELIVERY: &str = "/companies/{company}/webhooks/{endpoint}/deliveries/{delivery}";
const RETRY: &str = "/companies/{company}/webhooks/{endpoint}/deliveries/{delivery}/retry";

/// How many endpoints are shown on a page.
const PER_PAGE: u32 = 25;

/// The last page that can be asked for.
const MAX_PAGE: u32 = 1_000;

/// The longest name that is asked for, in characters.
const MAX_NAME: usize = 100;

/// Adds the pages to the table.
#[must_use]
pub fn pages(pages: Pages) -> Pages {
    pages
        .member(Method::GET, LIST, SeeWebhooks, list)
        .member(Method::GET, NEW, ManageWebhooks, write::new)
        .member(Method::POST, NEW, ManageWebhooks, write::create)
        .member(Method::GET, ONE, SeeWebhooks, one::show)
        .member(Method::POST, TEST, OperateWebhooks, operate::test)
        .member(Method::POST, ENABLE, ManageWebhooks, operate::enable)
        .member(Method::POST, DISABLE, ManageWebhooks, operate::disable)
        .member(Method::GET, SECRET, ManageWebhooks, secret::ask)
        .member(Method::POST, SECRET, ManageWebhooks, secret::rotate)
        .member(Method::GET, DELIVERY, SeeWebhooks, delivery::show)
        .member(Method::POST, RETRY, OperateWebhooks, delivery::retry)
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct ListPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    base: String,
    rows: Vec<Row>,
    /// Whose endpoints alone are shown, when that was asked for.
    client: String,
    /// Its name, where it is known.
    client_name: Option<String>,
    /// Where an endpoint is added, for whoever may.
    add: Option<String>,
    page: u32,
    before: Option<String>,
    after: Option<String>,
}

/// An endpoint in the list.
struct Row {
    id: String,
    url: String,
    of: String,
    standing: Word,
    hint: Option<&'static str>,
    last: Option<(Moment, Word)>,
}

async fn list(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let query = query(&visit)?;
    let client = name(&query, "client");
    let page = query.get("page").and_then(|page| page.parse::<u32>().ok()).unwrap_or(1);
    let page = page.clamp(1, MAX_PAGE);
    let wanted = EndpointQuery {
        company_id: &place.company.id,
        client_id: Some(client.as_str()).filter(|client| !client.is_empty()),
        skip: (page - 1) * PER_PAGE,
        limit: PER_PAGE + 1,
    };
    let mut found = visit.app.store.company_endpoints(wanted).await?;
    let more = found.len() > PER_PAGE as usize && page < MAX_PAGE;
    found.truncate(PER_PAGE as usize);
    let link = |page: u32| {
        let mut query = Serializer::new(String::new());
        if !client.is_empty() {
            query.append_pair("client", &client);
        }
        query.append_pair("page", &page.to_string()).finish()
    };
    let add = format!("{}/new?", base(&place));
    let length = add.len();
    let add = Serializer::for_suffix(add, length).append_pair("client", &client).finish();
    let template = ListPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(&visit, &place, SECTION),
        base: base(&place),
        client_name: found.first().map(|listed| listed.name.clone()),
        rows: found.into_iter().map(row).collect(),
        before: (page > 1).then(|| link(page - 1)),
        after: more.then(|| link(page + 1)),
        add: place.role.may(ManageWebhooks).then_some(add),
        client,
        page,
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}

fn row(listed: ListedEndpoint) -> Row {
    let last = listed.last.as_ref().map(|last| {
        let at = last.tried.last().map_or(last.created_at, |tried| tried.at);
        (at.into(), words::state(last))
    });
    Row {
        of: words::of(&listed),
        standing: words::standing(&listed.endpoint),
        hint: words::what_to_do(&listed.endpoint),
        last,
        id: listed.endpoint.id,
        url: listed.endpoint.url,
    }
}

/// The endpoint that the path names, if it is this company's.
async fn named(visit: &Visit, place: &Membership) -> Result<ListedEndpoint, Refusal> {
    let id = visit.path("endpoint");
    let found = visit.app.store.company_endpoint(&place.company.id, id).await?;
    found.ok_or_else(not_found)
}

/// Where the part begins.
fn base(place: &Membership) -> String {
    format!("/companies/{}/{SECTION}", place.company.id)
}

/// The address of an endpoint's page.
fn address(place: &Membership, id: &str) -> String {
    format!("{}/{id}", base(place))
}

/// Who is signed in, for the audit trail.
fn actor(visit: &Visit) -> Actor {
    Actor::User(visit.signed_in.user.id.clone())
}

fn query(visit: &Visit) -> Result<Parameters, Refusal> {
    Parameters::parse(visit.parts.uri.query().unwrap_or_default().as_bytes())
}

/// A name that is asked for; empty when none is.
fn name(query: &Parameters, parameter: &str) -> String {
    query.get(parameter).unwrap_or_default().trim().chars().take(MAX_NAME).collect()
}
