//! Sends what is in the outbox. The one file here that asks clock, store and network.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use counterfoil_protocol::{UnixTime, secret::Secret, webhook};
use hyper::{HeaderMap, Method, header::HeaderValue};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    endpoint::{Endpoint, Origin},
    log::Attempt,
    payload,
    schedule::{Outcome, Schedule, Verdict},
};
use crate::{
    app::App,
    events,
    mail::{Letter, Message},
    outbound::{Answer, OutboundError, Request},
    store::{Claim, Due, Fate, Notice, Settled, Settlement, StoreError},
    vault::Purpose,
};

/// How often the outbox is looked at: operator commands write there from processes of their own.
const LOOK: Duration = Duration::from_millis(500);

/// How much of an answer is kept for the log, in bytes.
const EXCERPT: usize = 2_048;

/// The headers of an answer that are kept for the log.
const KEPT_HEADERS: [&str; 4] = ["content-type", "location", "retry-after", "server"];

/// The longest value of such a header, in bytes.
const MAX_HEADER: usize = 200;

/// How long a claim outlives the longest attempt, in seconds.
const LEASE_MARGIN: u64 = 5;

/// Sends until it is told to stop; then lets what is on its way arrive, as long as the limits say.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut on_their_way = JoinSet::new();
    while !*stop.borrow() {
        let room = app.config.webhooks.senders as usize - on_their_way.len();
        match claim(&app, room).await {
            Ok(claimed) => {
                for due in claimed {
                    on_their_way.spawn(deliver(Arc::clone(&app), due));
                }
            }
            Err(error) => tracing::error!(%error, "the outbox of notifications cannot be read"),
        }
        tell_notices(&app).await;
        tokio::select! {
            _ = stop.changed() => {}
            Some(_) = on_their_way.join_next() => {}
            () = sleep(LOOK) => {}
        }
    }
    let grace = Duration::from_secs(app.config.limits.shutdown_seconds);
    let all = async { while on_their_way.join_next().await.is_some() {} };
    if timeout(grace, all).await.is_err() {
        tracing::warn!("some notifications were still on their way; they will be sent again");
    }
}

async fn claim(app: &App, room: usize) -> Result<Vec<Due>, StoreError> {
    let now = app.now();
    if room == 0 || !app.store.is_anything_due(now).await? {
        return Ok(Vec::new());
    }
    // An attempt waits for a place as long as it may last.
    let lease = 2 * app.config.outbound.total_seconds + LEASE_MARGIN;
    let claim = Claim {
        now,
        until: now + i64::try_from(lease).unwrap_or(i64::from(u32::MAX)),
        most: u32::try_from(room).unwrap_or(u32::MAX),
        per_endpoint: app.config.webhooks.senders_per_endpoint,
    };
    app.store.claim_deliveries(claim).await
}

/// Makes one attempt, and writes what came of it.
async fn deliver(app: Arc<App>, due: Due) {
    let (fate, attempt) = match sendable(&app, &due) {
        Ok((endpoint, secrets)) => attempt(&app, &due, endpoint, &secrets).await,
        Err(reason) => (Fate::GivenUp(reason), None),
    };
    let now = app.now();
    let settlement = Settlement {
        position: due.position,
        attempts: due.attempts,
        fate,
        hopeless_before: now - app.config.webhooks.disable_after_seconds,
        now,
        attempt,
    };
    let endpoint_id = due.endpoint.as_ref().map_or("", |endpoint| endpoint.id.as_str());
    match app.store.settle_delivery(settlement).await {
        Ok(Settled::EndpointDisabled) => events::webhook_endpoint_disabled(endpoint_id),
        Ok(Settled::Done | Settled::Lost) => {}
        // It is sent again when its claim has lapsed.
        Err(error) => tracing::error!(%error, delivery = due.id, "an attempt cannot be noted"),
    }
    match fate {
        Fate::Delivered => events::webhook_delivered(endpoint_id, &due.id),
        Fate::GivenUp(reason) => events::webhook_given_up(endpoint_id, &due.id, reason),
        Fate::Again(_) => {}
    }
}

/// The endpoint and what signs, or why nothing is sent.
fn sendable<'d>(app: &App, due: &'d Due) -> Result<(&'d Endpoint, Vec<Secret>), &'static str> {
    let endpoint = due.endpoint.as_ref().ok_or("endpoint_gone")?;
    if let Some(reason) = endpoint.closed(due.origin) {
        return Err(reason);
    }
    let now = app.now();
    let previous = endpoint.previous.as_ref().filter(|(_, until)| now < *until);
    let sealed = [Some(&endpoint.secret.sealed), previous.map(|(sealed, _)| sealed)];
    let open = |sealed: &Vec<u8>| {
        let plain = app.vault.open(Purpose::WebhookSecret, sealed).ok()?;
        std::str::from_utf8(&plain).ok().map(Secret::new)
    };
    let secrets: Option<Vec<_>> = sealed.into_iter().flatten().map(open).collect();
    Ok((endpoint, secrets.ok_or("secret_unreadable")?))
}

async fn attempt(
    app: &App,
    due: &Due,
    endpoint: &Endpoint,
    secrets: &[Secret],
) -> (Fate, Option<Attempt>) {
    let (at, begun) = (app.now(), app.clock.monotonic());
    let number = due.attempts + 1;
    let delivery_id = app.entropy.id("mpwhd_");
    let body = payload::of_attempt(&due.body, &delivery_id);
    let signature = webhook::sign_with(secrets, at, body.as_bytes());
    let number_text = number.to_string();
    let event = payload::event_header(endpoint, &due.event);
    let headers = headers([
        ("content-type", "application/json"),
        ("accept", "*/*"),
        ("user-agent", "MakePay-Webhooks/1.0"),
        ("x-makepay-delivery-id", &delivery_id),
        ("x-makepay-delivery-group-id", &due.group_id),
        ("x-makepay-delivery-origin", due.origin.as_str()),
        ("x-makepay-event", &event),
        ("x-makepay-attempt", &number_text),
        (endpoint.signature_header(), &signature),
    ]);
    let request = Request {
        method: Method::POST,
        url: endpoint.url.clone(),
        headers,
        body: Bytes::from(body),
        keep: EXCERPT,
        // A receiver acknowledges with the status; what it says beside that is for people who look.
        status_suffices: true,
    };
    let sent = app.outbound.send(request).await;
    let now = app.now();
    if let Err(OutboundError::Busy) = sent {
        // Nothing was sent, so nothing is counted.
        return (Fate::Again(now + 1), None);
    }
    let fate = fate(&schedule(app, due.origin), &sent, number, now);
    let took = app.clock.monotonic().saturating_sub(begun);
    let mut record = Attempt {
        delivery_id,
        at,
        milliseconds: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        url: endpoint.url.clone(),
        status: None,
        error: None,
        headers: String::new(),
        excerpt: String::new(),
    };
    match &sent {
        Ok(answer) => {
            record.status = Some(answer.status.as_u16());
            record.headers = kept_headers(answer);
            record.excerpt = excerpt(answer, secrets);
        }
        Err(failure) => {
            tracing::info!(delivery = due.id, code = failure.code(), cause = ?failure, "not delivered");
            record.error = Some(format!("{}: {failure}", failure.code()));
        }
    }
    (fate, Some(record))
}

/// The schedule of the settings. A test is made once: whoever makes it waits for the answer.
fn schedule(app: &App, origin: Origin) -> Schedule {
    let settings = &app.config.webhooks;
    Schedule {
        attempts: if origin == Origin::Test { 1 } else { settings.attempts },
        interval: settings.interval_seconds,
        longest_wait: settings.retry_after_seconds,
    }
}

fn fate(
    schedule: &Schedule,
    sent: &Result<Answer, OutboundError>,
    number: u32,
    now: UnixTime,
) -> Fate {
    let outcome = match sent {
        Ok(answer) => {
            let asked = answer.headers.get("retry-after").and_then(|value| value.to_str().ok());
            Outcome::Answered(answer.status.as_u16(), asked)
        }
        Err(_) => Outcome::Unanswered,
    };
    match (schedule.judge(outcome, number, now), outcome) {
        (Verdict::Delivered, _) => Fate::Delivered,
        (Verdict::Again(at), _) => Fate::Again(at),
        (Verdict::GivenUp, Outcome::Answered(410, _)) => Fate::GivenUp("gone"),
        (Verdict::GivenUp, _) => Fate::GivenUp("attempts_exhausted"),
    }
}

fn headers<const N: usize>(pairs: [(&'static str, &str); N]) -> HeaderMap {
    let value = |text| HeaderValue::try_from(text).expect("ids and signatures are visible ASCII");
    pairs.into_iter().map(|(name, text)| (name.parse().expect("a name"), value(text))).collect()
}

fn kept_headers(answer: &Answer) -> String {
    let line = |name: &&str| {
        let value = answer.headers.get(*name)?.as_bytes();
        let value = String::from_utf8_lossy(&value[..value.len().min(MAX_HEADER)]);
        Some(format!("{name}: {value}\n"))
    };
    KEPT_HEADERS.iter().filter_map(line).collect()
}

/// The beginning of an answer as people may read it: text, and not our secret, which a receiver might echo.
fn excerpt(answer: &Answer, secrets: &[Secret]) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let visible =
        |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    let text: String = text.chars().map(visible).collect();
    let text = secrets.iter().fold(text, |text, it| text.replace(it.expose(), "[secret]"));
    if answer.truncated { format!("{text}…") } else { text }
}

/// The letter to those who look after an endpoint that was disabled.
#[derive(askama::Template)]
#[template(path = "mail/endpoint_disabled.txt")]
struct EndpointDisabled<'a> {
    brand: &'a str,
    issuer: &'a str,
    notice: &'a Notice,
    since: String,
}

impl Letter for EndpointDisabled<'_> {
    fn subject(&self) -> String {
        format!("{}: notifications to one of your addresses were stopped", self.brand)
    }
}

/// A moment as people read it.
fn in_words(time: UnixTime) -> String {
    let moment = jiff::Timestamp::from_second(time.0).unwrap_or_default();
    moment.strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// Writes letters about what nobody was told yet.
async fn tell_notices(app: &App) {
    if let Err(error) = try_tell_notices(app).await {
        tracing::error!(%error, "a notice cannot be told");
    }
}

async fn try_tell_notices(app: &App) -> anyhow::Result<()> {
    for notice in app.store.notices().await? {
        for person in &notice.people {
            let letter = EndpointDisabled {
                brand: &app.config.brand.name,
                issuer: &app.config.issuer,
                since: in_words(notice.failing_since),
                notice: &notice,
            };
            app.mail.send(Message::new(person, &letter)?).await?;
        }
        app.store.notice_told(notice.id, app.now()).await?;
    }
    Ok(())
}
