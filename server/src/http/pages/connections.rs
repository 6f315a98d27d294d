//! `/companies/{company}/connected-apps`: the stores and applications that act or acted for a company.

mod end;
mod one;
mod words;

use askama::Template;
use axum::{
    http::{Method, StatusCode},
    response::Response,
};
use form_urlencoded::Serializer;

use super::{
    dashboard::Dashboard,
    frame::{self, Frame},
    guard::{Pages, Visit},
    moment::Moment,
};
use crate::{
    app::App,
    http::{error::Refusal, extract::Parameters},
    oauth::connection::Standing,
    people::role::Act,
    store::{Connection, ConnectionQuery, Membership},
};

/// This part's path below a company's.
pub const SECTION: &str = "connected-apps";

/// How many are shown on a page.
const PER_PAGE: u32 = 25;

/// The last page that can be asked for.
const MAX_PAGE: u32 = 1_000;

/// The longest text that is searched for, in characters.
const MAX_SEARCH: usize = 100;

/// Adds the pages to the table.
#[must_use]
pub fn pages(pages: Pages) -> Pages {
    const LIST: &str = "/companies/{company}/connected-apps";
    const ONE: &str = "/companies/{company}/connected-apps/{client}";
    const END: &str = "/companies/{company}/connected-apps/{client}/revoke";
    pages
        .member(Method::GET, LIST, Act::SeeConnections, list)
        .member(Method::GET, ONE, Act::SeeConnections, one::show)
        .member(Method::GET, END, Act::EndConnections, end::ask)
        .member(Method::POST, END, Act::EndConnections, end::end)
}

#[derive(Template)]
#[template(path = "connections.html")]
struct ListPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    company_id: &'a str,
    search: String,
    show: Show,
    page: u32,
    rows: Vec<Row>,
    before: Option<String>,
    after: Option<String>,
}

/// One connection in the list.
struct Row {
    client_id: String,
    /// Where the store is, or the application's name.
    name: String,
    /// The store's plugin, or whose application it is.
    of: String,
    standing: Standing,
    last_access: Option<Moment>,
    approved_at: Moment,
}

/// Which are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Show {
    All,
    Standing,
    Ended,
}

impl Show {
    fn parse(text: Option<&str>) -> Self {
        match text {
            Some("connected") => Self::Standing,
            Some("ended") => Self::Ended,
            _ => Self::All,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Standing => "connected",
            Self::Ended => "ended",
        }
    }

    fn ended(self) -> Option<bool> {
        match self {
            Self::All => None,
            Self::Standing => Some(false),
            Self::Ended => Some(true),
        }
    }
}

async fn list(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let app = &visit.app;
    let query = query(&visit)?;
    let search: String =
        query.get("q").unwrap_or_default().trim().chars().take(MAX_SEARCH).collect();
    let show = Show::parse(query.get("show"));
    let page = query.get("page").and_then(|page| page.parse::<u32>().ok()).unwrap_or(1);
    let page = page.clamp(1, MAX_PAGE);
    let wanted = ConnectionQuery {
        search: &search,
        ended: show.ended(),
        skip: (page - 1) * PER_PAGE,
        limit: PER_PAGE + 1,
    };
    let mut found = app.store.connections(&place.company.id, app.now(), wanted).await?;
    let more = found.len() > PER_PAGE as usize && page < MAX_PAGE;
    found.truncate(PER_PAGE as usize);
    let link = |page: u32| {
        let mut query = Serializer::new(String::new());
        for (name, value) in [("q", search.as_str()), ("show", show.as_str())] {
            if !matches!(value, "" | "all") {
                query.append_pair(name, value);
            }
        }
        query.append_pair("page", &page.to_string()).finish()
    };
    let template = ListPage {
        frame: Frame::new(app),
        dashboard: Dashboard::of_company(&visit, &place, SECTION),
        company_id: &place.company.id,
        rows: found.into_iter().map(|connection| row(app, connection)).collect(),
        before: (page > 1).then(|| link(page - 1)),
        after: more.then(|| link(page + 1)),
        search,
        show,
        page,
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}

impl ListPage<'_> {
    /// Whether everything is asked for, and there is nothing.
    fn nothing_at_all(&self) -> bool {
        self.rows.is_empty() && self.search.is_empty() && self.show == Show::All && self.page == 1
    }
}

fn row(app: &App, connection: Connection) -> Row {
    // Many stores have the same plugin; what tells them apart is where they are.
    let (name, of) = match (connection.store, connection.publisher) {
        (Some(store), _) => (store.site_url, connection.name),
        (None, Some(publisher)) => (connection.name, format!("by {publisher}")),
        (None, None) => (connection.name, String::new()),
    };
    let last_access = app.last_access.newest(&connection.grant_id, connection.last_access);
    Row {
        of,
        standing: Standing::of(&connection.facts),
        last_access: last_access.map(Moment::from),
        approved_at: connection.approved_at.into(),
        client_id: connection.client_id,
        name,
    }
}

/// The connection that the path names; whether there is such a client elsewhere is not told.
async fn named(visit: &Visit, place: &Membership) -> Result<Connection, Refusal> {
    let found =
        visit.app.store.connection(&place.company.id, visit.path("client"), visit.app.now());
    found.await?.ok_or_else(super::guard::not_found)
}

fn query(visit: &Visit) -> Result<Parameters, Refusal> {
    Parameters::parse(visit.parts.uri.query().unwrap_or_default().as_bytes())
}
