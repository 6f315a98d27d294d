//! `webhook`: endpoints, deliveries, and what to do about them.

use anyhow::{Context as _, bail, ensure};
use clap::ArgGroup;
use serde_json::{Value, json};

use super::{
    operator::{self, Operator, moment},
    part,
};
use crate::{
    outbound::Rules,
    partner::event::Patterns,
    store::{
        AddedEndpoint, DeliveryQuery, EndpointSecret, NewEndpoint, Of, Queued, Rotated,
        Webhooks as _,
    },
    webhooks::{endpoint::MAX_OF_APPLICATION, log::Delivery, secret, view},
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists endpoints.
    Endpoints {
        /// Those of one company, by name or id.
        #[arg(long)]
        company: Option<String>,
        #[command(flatten)]
        part: part::Arguments,
    },
    /// Adds an endpoint to an application. Its secret is shown this once.
    Add {
        /// The application: `mco_app_…`
        #[arg(long)]
        app: String,
        /// Where notifications go.
        #[arg(long)]
        url: String,
        /// Which events: `makepay.payment.*`. Repeatable.
        #[arg(long, default_value = "makepay.payment.*")]
        event: Vec<String>,
        /// For people.
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
    },
    /// Sends to an endpoint again.
    Enable {
        /// The endpoint.
        id: String,
    },
    /// Sends nothing more to an endpoint. Secret and log stay.
    Disable {
        /// The endpoint.
        id: String,
    },
    /// Gives an endpoint another secret, shown this once.
    Rotate {
        /// The endpoint.
        id: String,
        /// How long the secret before signs as well; 0: not at all.
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u32>,
    },
    /// Sends a test to an endpoint, which may be disabled.
    Test {
        /// The endpoint.
        id: String,
    },
    /// Lists deliveries, newest first.
    #[command(group = ArgGroup::new("of").required(true))]
    Deliveries {
        /// Those to one endpoint.
        #[arg(long, group = "of")]
        endpoint: Option<String>,
        /// Those of one connection.
        #[arg(long, group = "of")]
        grant: Option<String>,
        /// Those of one application or store.
        #[arg(long, group = "of")]
        client: Option<String>,
        /// The most of them.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Those before a place, as a list before named it in `next`.
        #[arg(long)]
        before: Option<i64>,
    },
    /// Shows one delivery with everything that was sent and answered.
    Delivery {
        /// The delivery: `mpwhreq_…`
        id: String,
    },
    /// Sends a delivery that has ended once more.
    Retry {
        /// The delivery: `mpwhreq_…`
        id: String,
    },
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(async {
            match self {
                Self::Endpoints { company, part } => {
                    endpoints(operator, company.as_deref(), &part).await
                }
                Self::Add { app, url, event, description } => {
                    add(operator, app, url, event, description).await
                }
                Self::Enable { id } => switch(operator, &id, true).await,
                Self::Disable { id } => switch(operator, &id, false).await,
                Self::Rotate { id, overlap } => rotate(operator, &id, overlap).await,
                Self::Test { id } => {
                    let (store, actor) = (&operator.store, &operator.actor);
                    let queued = store.test_endpoint(&id, operator.event(), actor, operator.now);
                    let queued = queued.await?;
                    ensure!(queued != Queued::Unknown, unknown(&id));
                    queue(operator, queued, &id)
                }
                Self::Deliveries { endpoint, grant, client, limit, before } => {
                    let of = match (&endpoint, &grant, &client) {
                        (Some(id), ..) => Of::Endpoint(id),
                        (_, Some(id), _) => Of::Grant(id),
                        (.., Some(id)) => Of::Client(id),
                        _ => bail!("say whose deliveries: --endpoint, --grant or --client"),
                    };
                    deliveries(operator, of, before, limit).await
                }
                Self::Delivery { id } => show(operator, &id).await,
                Self::Retry { id } => {
                    let (store, actor) = (&operator.store, &operator.actor);
                    let queued = store.retry_delivery(&id, operator.event(), actor, operator.now);
                    let queued = queued.await?;
                    if queued == Queued::Unknown && store.delivery(&id).await?.is_none() {
                        bail!("there is no delivery {id:?}");
                    }
                    queue(operator, queued, &id)
                }
            }
        })?
    }
}

async fn endpoints(
    operator: &Operator,
    company: Option<&str>,
    part: &part::Arguments,
) -> anyhow::Result<()> {
    let company = operator.narrowed_to(company).await?;
    let known = async |id: &str| Ok(operator.store.endpoint(id).await?.is_some());
    part.begins("endpoint", known).await?;
    let found = operator.store.endpoints(company.as_deref(), part.part()).await?;
    let next = part.next(found.len(), found.last().map(|last| &*last.id));
    let lines: Vec<_> = found
        .iter()
        .map(|it| format!("{} {:<12} {:<8} {}", it.id, it.kind.as_str(), view::status(it), it.url))
        .collect();
    let text = if lines.is_empty() { "there is no endpoint".to_owned() } else { lines.join("\n") };
    let values: Vec<_> = found.iter().map(view::endpoint).collect();
    operator.show(&json!({ "endpoints": values, "next_after": next }), &text)
}

async fn add(
    operator: &Operator,
    client_id: String,
    url: String,
    events: Vec<String>,
    description: String,
) -> anyhow::Result<()> {
    Rules::new(&operator.config).vet(&url)?;
    let events = Patterns::parse(events)?;
    ensure!(description.len() <= 200, "a description has at most 200 bytes");
    let (plain, sealed) = secret::new(&operator.vault, &*operator.entropy);
    let id = operator.entropy.id("mpwhep_");
    let now = operator.now;
    let new =
        NewEndpoint { id: id.clone(), client_id, url, events, description, secret: sealed, now };
    let client_id = new.client_id.clone();
    match operator.store.add_endpoint(new, MAX_OF_APPLICATION, &operator.actor).await? {
        AddedEndpoint::Added => {}
        AddedEndpoint::Full => {
            bail!("{client_id} has {MAX_OF_APPLICATION} endpoints, as many as it may have")
        }
        AddedEndpoint::Known => bail!("there is an endpoint {id:?} already"),
        AddedEndpoint::NoApplication => bail!("there is no application {client_id:?}"),
    }
    secret_once(operator, &id, plain.expose(), None)
}

async fn switch(operator: &Operator, id: &str, active: bool) -> anyhow::Result<()> {
    let (actor, now) = (&operator.actor, operator.now);
    ensure!(operator.store.switch_endpoint(id, active, actor, now).await?, unknown(id));
    let known = operator.store.endpoint(id).await?.with_context(|| unknown(id))?;
    let word = if active { "enabled" } else { "disabled" };
    operator.answer(&view::endpoint(&known), &format!("endpoint {id} is {word}"))
}

async fn rotate(operator: &Operator, id: &str, overlap: Option<u32>) -> anyhow::Result<()> {
    let settled = operator.config.webhooks.secret_overlap_seconds;
    let until = operator.now + overlap.map_or(settled, i64::from);
    let (plain, sealed) = secret::new(&operator.vault, &*operator.entropy);
    let (actor, now) = (&operator.actor, operator.now);
    let change = EndpointSecret { secret: sealed, overlap_until: until, replaces: None };
    match operator.store.rotate_endpoint_secret(id, change, actor, now).await? {
        Rotated::Done => {}
        Rotated::Raced | Rotated::Unknown => bail!(unknown(id)),
    }
    secret_once(operator, id, plain.expose(), Some(until).filter(|until| *until > now))
}

fn secret_once(
    operator: &Operator,
    id: &str,
    secret: &str,
    until: Option<counterfoil_protocol::UnixTime>,
) -> anyhow::Result<()> {
    let overlap =
        until.map(|until| format!("\nThe secret before signs as well until {}.", moment(until)));
    let text = format!(
        "endpoint: {id}\nsecret:   {secret}\nThe secret is shown this once.{}",
        overlap.unwrap_or_default()
    );
    let value = json!({
        "endpoint_id": id, "signing_secret": secret, "previous_secret_until": until.map(moment),
    });
    operator.answer(&value, &text)
}

fn queue(operator: &Operator, queued: Queued, id: &str) -> anyhow::Result<()> {
    match queued {
        Queued::As(delivery) => operator.answer(
            &json!({ "delivery_id": delivery }),
            &format!("{delivery} is in the outbox; look at it with: webhook delivery {delivery}"),
        ),
        Queued::Unknown => bail!("nothing can sign for {id}: its endpoint has no secret any more"),
        Queued::Closed("connection_ended") => {
            bail!("what {id} is about has ended, so nothing is sent for it (connection_ended)")
        }
        Queued::Closed(reason) => bail!("nothing is sent there: {reason}"),
        Queued::Waits => bail!("{id} has not ended yet; it is tried by itself"),
    }
}

async fn deliveries(
    operator: &Operator,
    of: Of<'_>,
    before: Option<i64>,
    limit: u32,
) -> anyhow::Result<()> {
    let query = DeliveryQuery { before, limit, ..DeliveryQuery::default() };
    let found = operator.store.deliveries(of, query).await?;
    let next = found.last().filter(|_| found.len() == limit as usize).map(|last| last.position);
    let lines: Vec<_> = found.iter().map(line).collect();
    let text = if lines.is_empty() { "nothing was sent".to_owned() } else { lines.join("\n") };
    let values: Vec<Value> = found.iter().map(view::delivery).collect();
    operator.show(&json!({ "deliveries": values, "next": next }), &text)
}

fn line(it: &Delivery) -> String {
    let last = it.tried.last();
    let answer = last.and_then(|last| last.status.map(|status| status.to_string()));
    let answer = answer.or_else(|| last?.error.clone()).unwrap_or_default();
    let Delivery { id, state, event, attempts, link_uid, .. } = it;
    format!(
        "{} {id} {state:<9} {event} {link_uid} attempts {attempts} {answer}",
        moment(it.created_at)
    )
}

async fn show(operator: &Operator, id: &str) -> anyhow::Result<()> {
    let found = operator.store.delivery(id).await?;
    let found = found.with_context(|| format!("there is no delivery {id:?}"))?;
    let value = view::delivery(&found);
    operator.show(&value, &format!("{value:#}"))
}

fn unknown(id: &str) -> String {
    format!("there is no endpoint {id:?}")
}
