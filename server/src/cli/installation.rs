//! `installation list`, `show`, `revoke` and `release`.

use anyhow::{Context as _, ensure};
use counterfoil_protocol::encoding::base64url;
use serde_json::{Value, json};

use super::{
    confirm::{self, Confirm},
    operator::{self, Operator, moment},
    part,
};
use crate::{
    audit::AuditRecord,
    oauth::{client::Client, installation::Installation},
    ownership,
    store::{
        Audit as _, AuditQuery, Clients as _, Connections as _, GrantQuery, Grants as _,
        Operators as _, Part,
    },
};

/// The most events that are shown.
const EVENTS: u32 = 50;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Lists the stores that registered themselves, by site.
    List {
        #[command(flatten)]
        part: part::Arguments,
    },
    /// Shows one store's registration.
    Show {
        /// Its client id: `mco_app_…`
        client_id: String,
    },
    /// Ends a store's connection: its tokens stop working at once. It stays registered, and a merchant can connect it again.
    Revoke {
        /// Its client id: `mco_app_…`
        client_id: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Forgets a registration and ends its connection, so that the store can register anew.
    Release {
        /// Its client id: `mco_app_…`
        client_id: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(async {
            match self {
                Self::List { part } => list(operator, &part).await,
                Self::Show { client_id } => show(operator, &client_id).await,
                Self::Revoke { client_id, confirm } => revoke(operator, &client_id, &confirm).await,
                Self::Release { client_id, confirm } => {
                    release(operator, &client_id, &confirm).await
                }
            }
        })?
    }
}

async fn list(operator: &Operator, part: &part::Arguments) -> anyhow::Result<()> {
    let clients = operator.store.installations(part.part(), operator.now).await?;
    let rows = clients.iter().filter_map(|client| Some((client, client.installation()?)));
    let place = |(client, installation): (&Client, &Installation)| {
        format!("{} {}", installation.site_url, client.id)
    };
    let last = rows.clone().next_back().map(place);
    let next = part.next(clients.len(), last.as_deref());
    let lines: Vec<_> = rows
        .clone()
        .map(|(client, installation)| {
            let state =
                if installation.approved_at.is_some() { "approved" } else { "not approved" };
            format!(
                "{} {:<16} {:<12} {}",
                client.id, installation.platform, state, installation.site_url
            )
        })
        .collect();
    let values: Vec<_> =
        rows.map(|(client, installation)| described(client, installation)).collect();
    let text =
        if lines.is_empty() { "no store has registered".to_owned() } else { lines.join("\n") };
    operator.show(&json!({ "installations": values, "next_after": next }), &text)
}

async fn show(operator: &Operator, client_id: &str) -> anyhow::Result<()> {
    let client = operator.store.client(client_id, operator.now).await?;
    let unknown = || format!("there is no installation {client_id}");
    let client = client.with_context(unknown)?;
    let mut value = described(&client, client.installation().with_context(unknown)?);
    if let Some(grant) = operator.store.redeemed_grant(client_id).await? {
        let last_access = operator.store.last_access(&grant.id).await?;
        value["grant"] = json!({
            "grant_id": grant.id, "company_id": grant.company_id, "company": grant.company_name,
            "last_access": last_access.map(moment),
        });
    }
    if let Some(checked) = ownership::newest(&operator.store, &client).await? {
        let (verdict, at) = (checked.verdict.word(), moment(checked.at));
        value["address"] = json!({ "verdict": verdict, "checked_at": at });
    }
    let mut text = lines(&value, "");
    let history = operator.store.newest_audit(&AuditQuery::client(client_id), None, EVENTS).await?;
    text.extend(history.iter().map(|event| {
        let AuditRecord { at, event, detail, .. } = event;
        format!("{} {event} {detail}", moment(*at)).trim_end().to_owned()
    }));
    value["history"] = history
        .iter()
        .map(|event| {
            json!({
                "at": moment(event.at), "event": event.event, "actor": event.actor, "company_id": event.company_id, "detail": event.detail,
            })
        })
        .collect();
    operator.answer(&value, &text.join("\n"))
}

/// How many connections of a store stand. An error when there is no such store.
async fn standing(operator: &Operator, client_id: &str) -> anyhow::Result<usize> {
    let client = operator.store.client(client_id, operator.now).await?;
    let known = client.is_some_and(|client| client.installation().is_some());
    ensure!(known, "there is no installation {client_id}; see: installation list");
    let query = GrantQuery { client_id: Some(client_id), ..GrantQuery::default() };
    Ok(operator.store.grants(query, Part::WHOLE).await?.len())
}

async fn revoke(operator: &Operator, client_id: &str, confirm: &Confirm) -> anyhow::Result<()> {
    let ending = confirm::connections(standing(operator, client_id).await?);
    confirm.ask(&format!("{ending}; {client_id} stays registered"))?;
    let ended = operator.store.revoke_installation(client_id, &operator.actor, operator.now);
    let ended = ended.await?;
    let ended = ended.with_context(|| format!("{client_id} was released meanwhile"))?;
    operator.answer(
        &json!({ "client_id": client_id, "connections_ended": ended }),
        &format!("{client_id} revoked; connections ended: {ended}"),
    )
}

async fn release(operator: &Operator, client_id: &str, confirm: &Confirm) -> anyhow::Result<()> {
    let standing = standing(operator, client_id).await?;
    let ending = confirm::connections(standing);
    confirm.ask(&format!("{client_id} is forgotten, and {ending}"))?;
    let released = operator.store.release(client_id, &operator.actor, operator.now).await?;
    ensure!(released, "{client_id} was released meanwhile");
    operator.answer(
        &json!({ "client_id": client_id, "released": true, "connections_ended": standing }),
        &format!("{client_id} released: the store registers anew when it next connects"),
    )
}

fn described(client: &Client, installation: &Installation) -> Value {
    json!({
        "client_id": client.id,
        "platform": installation.platform,
        "site_url": installation.site_url,
        "redirect_uri": installation.redirect_uri,
        "plugin_version": installation.plugin_version,
        "platform_version": installation.platform_version,
        "key": installation.key.map(|key| base64url(&key.0)),
        "staged": installation.staged.as_ref().map(|staged| json!({
            "key": base64url(&staged.key.0),
            "site_url": staged.moved_to.as_ref().map(|address| &address.site_url),
            "at": moment(staged.at),
        })),
        "registered_at": moment(installation.registered_at),
        "approved_at": installation.approved_at.map(moment),
    })
}

/// A JSON object as lines of names and values.
fn lines(value: &Value, before: &str) -> Vec<String> {
    let members = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    members
        .flat_map(|(name, value)| match value {
            Value::Object(_) => lines(value, &format!("{before}{name}.")),
            Value::String(text) => vec![format!("{before}{name}: {text}")],
            other => vec![format!("{before}{name}: {other}")],
        })
        .collect()
}
