//! One endpoint: how it is, what may be done with it, and its log.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use form_urlencoded::Serializer;

use super::{
    SECTION, address, base, name, named, query,
    words::{self, Word},
};
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
    people::role::Act,
    store::{DeliveryQuery, ListedEndpoint, Membership, Of},
    webhooks::{endpoint::EndpointKind, log::Delivery},
};

/// How many deliveries are shown on a page.
const PER_PAGE: u32 = 25;

/// What can be asked for, as parameter and in words.
const STATES: [(&str, &str); 3] =
    [("delivered", "Delivered"), ("failed", "Failed"), ("waiting", "Not delivered yet")];

const UNCHANGED: &str = "Nothing was changed: that form was used already, or somebody else changed the secret meanwhile. A secret is shown once.";

#[derive(Template)]
#[template(path = "webhook.html")]
struct OnePage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    base: String,
    path: String,
    listed: &'a ListedEndpoint,
    of: String,
    standing: Word,
    hint: Option<&'static str>,
    failing_since: Option<Moment>,
    previous_until: Option<Moment>,
    created: Moment,
    events: Vec<&'a str>,
    may_operate: bool,
    may_manage: bool,
    notice: Option<&'static str>,
    state: &'static str,
    link_uid: String,
    rows: Vec<Row>,
    newest: bool,
    older: Option<String>,
}

impl OnePage<'_> {
    const STATES: [(&'static str, &'static str); 3] = STATES;

    /// Whether its secret is changed here: what signs for a store is between its plugin and us.
    fn may_rotate(&self) -> bool {
        self.may_manage && self.listed.endpoint.kind == EndpointKind::Application
    }

    /// Whether only some are asked for.
    fn asks_for_some(&self) -> bool {
        !(self.state.is_empty() && self.link_uid.is_empty())
    }
}

/// A delivery in the log.
struct Row {
    id: String,
    event: String,
    link_uid: String,
    at: Moment,
    state: Word,
    attempts: u32,
    outcome: Option<String>,
}

/// `GET …/webhooks/{endpoint}`.
pub async fn show(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let listed = named(&visit, &place).await?;
    let endpoint = &listed.endpoint;
    let query = query(&visit)?;
    let state = query.get("show").unwrap_or_default();
    let state = STATES.iter().find(|(word, _)| *word == state).map_or("", |(word, _)| word);
    let link_uid = name(&query, "link");
    let before = query.get("before").and_then(|place| place.parse().ok());
    let wanted = DeliveryQuery {
        state: Some(state).filter(|state| !state.is_empty()),
        link_uid: Some(link_uid.as_str()).filter(|uid| !uid.is_empty()),
        before,
        limit: PER_PAGE + 1,
    };
    let mut found = visit.app.store.deliveries(Of::Endpoint(&endpoint.id), wanted).await?;
    let more = found.len() > PER_PAGE as usize;
    found.truncate(PER_PAGE as usize);
    let older = found.last().filter(|_| more).map(|last| {
        let mut query = Serializer::new(String::new());
        for (name, value) in [("show", state), ("link", &link_uid)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.append_pair("before", &last.position.to_string()).finish()
    });
    let now = visit.app.now();
    let until = endpoint.previous.as_ref().map(|(_, until)| *until).filter(|until| *until > now);
    let template = OnePage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(&visit, &place, SECTION),
        base: base(&place),
        path: address(&place, &endpoint.id),
        of: words::of(&listed),
        standing: words::standing(endpoint),
        hint: words::what_to_do(endpoint),
        failing_since: endpoint.failing_since.map(Moment::from),
        previous_until: until.map(Moment::from),
        created: endpoint.created_at.into(),
        events: endpoint.events.as_slice().iter().map(String::as_str).collect(),
        may_operate: place.role.may(Act::OperateWebhooks) && endpoint.stands,
        may_manage: place.role.may(Act::ManageWebhooks) && endpoint.stands,
        notice: query.get("unchanged").map(|_| UNCHANGED),
        state,
        link_uid,
        rows: found.into_iter().map(row).collect(),
        newest: before.is_none(),
        older,
        listed: &listed,
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}

fn row(delivery: Delivery) -> Row {
    Row {
        event: words::event(&delivery.event).to_owned(),
        at: delivery.created_at.into(),
        state: words::state(&delivery),
        attempts: delivery.attempts,
        outcome: delivery.tried.last().map(words::outcome),
        id: delivery.id,
        link_uid: delivery.link_uid,
    }
}
