//! `app add`, `list`, `show`, `rotate-secret`, `end-former-secret` and `remove`.

mod add;
mod secret;

use anyhow::{Context as _, bail};
use counterfoil_protocol::callback::RedirectUri;
use serde_json::{Value, json};

use super::{
    confirm::{self, Confirm},
    operator::{self, Operator, moment},
    part,
};
use crate::{
    oauth::client::{App, Client},
    store::{Applications as _, Changed, Clients as _, Edit, GrantQuery, Operators as _, Part},
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Registers a partner application. Its secret is printed once and cannot be read again.
    Add(add::Add),
    /// Lists partner applications.
    List {
        /// Only those of this company, by name or id.
        #[arg(long)]
        company: Option<String>,
        #[command(flatten)]
        part: part::Arguments,
    },
    /// Shows a partner application.
    Show {
        /// The application, `mco_app_…`.
        client_id: String,
    },
    /// Gives an application another secret, printed once.
    RotateSecret(secret::Rotate),
    /// Ends the secret before, which a rotation left working for a time.
    EndFormerSecret {
        /// The application, `mco_app_…`.
        client_id: String,
    },
    /// Deletes an application: every connection of it ends, and its tokens stop working.
    Remove {
        /// The application, `mco_app_…`.
        client_id: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        operator::wait(async {
            match self {
                Self::Add(add) => add.run(operator).await,
                Self::List { company, part } => list(operator, company.as_deref(), &part).await,
                Self::Show { client_id } => show(operator, &client_id).await,
                Self::RotateSecret(rotate) => rotate.run(operator).await,
                Self::EndFormerSecret { client_id } => {
                    secret::end_former(operator, &client_id).await
                }
                Self::Remove { client_id, confirm } => remove(operator, &client_id, &confirm).await,
            }
        })?
    }
}

async fn list(
    operator: &Operator,
    company: Option<&str>,
    part: &part::Arguments,
) -> anyhow::Result<()> {
    let company = operator.narrowed_to(company).await?;
    let known = async |id: &str| Ok(operator.store.client(id, operator.now).await?.is_some());
    part.begins("application", known).await?;
    let found = operator.store.apps(company.as_deref(), part.part()).await?;
    let next = part.next(found.len(), found.last().map(|last| &*last.id));
    let (mut values, mut lines) = (Vec::new(), Vec::new());
    for client in &found {
        let app = client.app().context("an application")?;
        let value = describe(operator, client, app).await?;
        lines.push(format!(
            "{}  {}  by {}, {} connected",
            client.id,
            client.name,
            value["company"].as_str().unwrap_or_default(),
            value["connected_companies"]
        ));
        values.push(value);
    }
    let text = if lines.is_empty() { "no applications".to_owned() } else { lines.join("\n") };
    operator.show(&json!({ "applications": values, "next_after": next }), &text)
}

async fn show(operator: &Operator, client_id: &str) -> anyhow::Result<()> {
    let (client, app) = find(operator, client_id).await?;
    let value = describe(operator, &client, &app).await?;
    let member = |name: &str| match &value[name] {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    };
    let mut lines = vec![format!("{}: {}", client.id, client.name)];
    for (label, name) in [
        ("company", "company"),
        ("kind", "kind"),
        ("scopes", "scope"),
        ("support contact", "support"),
        ("privacy policy", "privacy_url"),
        ("terms", "terms_url"),
        ("connected companies", "connected_companies"),
        ("registered", "created_at"),
    ] {
        lines.push(format!("  {label}: {}", member(name)));
    }
    lines.extend(app.redirect_uris.iter().map(|uri| format!("  redirect URI: {}", uri.as_str())));
    if let Some(former) = app.former_secret_at(operator.now) {
        lines.push(format!("  the secret before works until {}", moment(former.ends_at)));
    }
    operator.show(&value, &lines.join("\n"))
}

async fn remove(operator: &Operator, client_id: &str, confirm: &Confirm) -> anyhow::Result<()> {
    let (client, app) = find(operator, client_id).await?;
    let query = GrantQuery { client_id: Some(client_id), ..GrantQuery::default() };
    let grants = operator.store.grants(query, Part::WHOLE).await?;
    let ending = confirm::connections(grants.len());
    confirm.ask(&format!("{} is deleted, and {ending}", client.name))?;
    let removed =
        operator.store.delete_app(&client.id, &app.company_id, &operator.actor, operator.now);
    let Some(ended) = removed.await? else { bail!("{client_id} was deleted meanwhile") };
    operator.answer(
        &json!({ "client_id": client.id, "name": client.name, "deleted": true, "connections_ended": ended }),
        &format!("{} deleted; connections ended: {ended}", client.name),
    )
}

/// An application that was not deleted, of a company that is open.
async fn find(operator: &Operator, client_id: &str) -> anyhow::Result<(Client, App)> {
    let client = operator.store.client(client_id, operator.now).await?;
    let found = client.and_then(|client| {
        let app = client.app()?.clone();
        Some((client, app))
    });
    found.with_context(|| format!("there is no application {client_id:?}; see: app list"))
}

async fn describe(operator: &Operator, client: &Client, app: &App) -> anyhow::Result<Value> {
    let company = operator.company(&app.company_id).await?;
    let connected = operator.store.connected_to(&client.id).await?;
    let former = app.former_secret_at(operator.now);
    Ok(json!({
        "client_id": client.id, "name": client.name, "company": company.name, "company_id": company.id,
        "kind": if client.is_confidential() { "confidential" } else { "public" },
        "scope": client.scopes.to_string(),
        "redirect_uris": app.redirect_uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>(),
        "resource_server": app.resource_server,
        "support": app.about.support, "privacy_url": app.about.privacy_url, "terms_url": app.about.terms_url,
        "icon": app.about.icon, "created_at": moment(client.created_at),
        "former_secret_ends_at": former.map(|former| moment(former.ends_at)),
        "connected_companies": connected,
    }))
}

/// A change by the operator, to the application as it was read.
fn edit(operator: &Operator, client: &Client, app: &App) -> Edit {
    Edit {
        client_id: client.id.clone(),
        company_id: app.company_id.clone(),
        version: app.version,
        by: operator.actor.clone(),
        now: operator.now,
    }
}

/// An error when a change was not made.
fn must_be_done(changed: Changed, client_id: &str) -> anyhow::Result<()> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Raced => bail!("{client_id} was changed meanwhile; run the command again"),
        Changed::Unknown => bail!("{client_id} was deleted meanwhile"),
    }
}
