//! One connection: how it stands, what it may do, and what happened to it.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{SECTION, named, query, words};
use crate::{
    http::{
        error::Refusal,
        pages::{
            dashboard::Dashboard,
            frame::{self, Frame},
            guard::Visit,
            moment::Moment,
        },
    },
    oauth::{
        connection::Standing,
        ownership::{Checked, Rule, Verdict},
    },
    ownership,
    people::role::Act,
    store::{Connection, Membership},
};

/// How many events are shown on a page.
const EVENTS: u32 = 20;

#[derive(Template)]
#[template(path = "connection.html")]
struct OnePage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    company_id: &'a str,
    connection: &'a Connection,
    platform: Option<&'a str>,
    address: Option<Address>,
    standing: Standing,
    ended: Option<(Moment, &'static str)>,
    last_access: Option<Moment>,
    approved_at: Moment,
    scopes: Vec<&'a str>,
    may_end: bool,
    just_ended: bool,
    history: Vec<Told>,
    newest: bool,
    older: Option<String>,
}

/// Whether the store's address is verified.
struct Address {
    verified: bool,
    meaning: &'static str,
    at: Moment,
}

/// An event in words.
struct Told {
    at: Moment,
    what: String,
    who: String,
}

pub(super) async fn show(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let (app, query) = (&visit.app, query(&visit)?);
    let connection = named(&visit, &place).await?;
    let before = query.get("before").and_then(|id| id.parse().ok());
    let (company_id, client_id) = (&place.company.id, &connection.client_id);
    let mut events = app.store.connection_events(company_id, client_id, before, EVENTS + 1).await?;
    let more = events.len() > EVENTS as usize;
    events.truncate(EVENTS as usize);
    let is_store = connection.store.is_some();
    let profile = connection.store.as_ref().and_then(|store| app.profiles.get(&store.platform));
    let asks = profile.is_some_and(|profile| profile.ownership != Rule::Off);
    let client = app.store.client(client_id, app.now()).await?.filter(|_| asks);
    let address = match &client {
        Some(client) => ownership::newest(&*app.store, client).await?.map(Address::from),
        None => None,
    };
    let standing = Standing::of(&connection.facts);
    let reason = connection.ended_reason.as_deref().unwrap_or_default();
    let last_access = app.last_access.newest(&connection.grant_id, connection.last_access);
    let template = OnePage {
        frame: Frame::new(app),
        dashboard: Dashboard::of_company(&visit, &place, SECTION),
        company_id,
        platform: profile.map(|profile| profile.name.as_str()),
        address,
        standing,
        ended: connection.facts.ended_at.map(|at| (at.into(), words::reason(reason, is_store))),
        last_access: last_access.map(Moment::from),
        approved_at: connection.approved_at.into(),
        scopes: connection.scope.iter().map(|scope| app.config.in_words(scope)).collect(),
        may_end: place.role.may(Act::EndConnections) && standing != Standing::Ended,
        just_ended: query.get("revoked").is_some() && standing == Standing::Ended,
        newest: before.is_none(),
        older: events.last().filter(|_| more).map(|event| format!("before={}", event.id)),
        history: events
            .iter()
            .map(|event| Told {
                at: event.at.into(),
                what: words::event(event, is_store),
                who: words::actor(event, is_store),
            })
            .collect(),
        connection: &connection,
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}

impl From<Checked> for Address {
    fn from(checked: Checked) -> Self {
        let verified = checked.verdict == Verdict::Verified;
        Self { verified, meaning: checked.verdict.sentence(), at: checked.at.into() }
    }
}
