//! `app add`.

use std::collections::BTreeSet;

use anyhow::{bail, ensure};
use counterfoil_protocol::{callback::RedirectUri, scope::ScopeSet, secret::Secret};
use serde_json::json;

use super::operator::{self, Operator};
use crate::{
    oauth::client::{self, Client, ClientKind},
    profiles::Profiles,
    store::Clients as _,
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Registers a partner application. Its secret is printed once and cannot be read again.
    Add(Add),
}

#[derive(clap::Args)]
pub struct Add {
    /// The name that merchants are shown.
    #[arg(long, value_parser = operator::name)]
    name: String,
    /// The company it belongs to, by name or id.
    #[arg(long)]
    company: String,
    /// A callback, compared byte by byte. Repeatable.
    #[arg(long, value_name = "URI", value_parser = redirect_uri)]
    redirect_uri: Vec<RedirectUri>,
    /// Scopes it may ask for, with spaces or commas between. Repeatable.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// It has no secret: an application on people's own devices.
    #[arg(long)]
    public: bool,
    /// It may introspect the tokens of the partner API.
    #[arg(long, conflicts_with = "public")]
    resource_server: bool,
}

impl Command {
    pub fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let Self::Add(add) = self;
        operator::wait(add.run(operator))?
    }
}

impl Add {
    async fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let profiles = Profiles::load(operator.config.profiles_dir.as_deref())?;
        let scopes = known_scopes(&self.scope, &profiles.scopes())?;
        if scopes.is_empty() && !self.resource_server {
            bail!("an application needs at least one --scope");
        }
        ensure!(
            !self.public || !self.redirect_uri.is_empty(),
            "a public application needs at least one --redirect-uri"
        );
        let company = operator.company(&self.company).await?;
        let secret = (!self.public).then(|| Secret::new(operator.entropy.secret("mco_sec_")));
        let app = Client {
            id: operator.entropy.id("mco_app_"),
            name: self.name,
            kind: ClientKind::App(client::App {
                company_id: company.id,
                secret_hash: secret.as_ref().map(Secret::sha256),
                redirect_uris: self.redirect_uri.clone(),
                resource_server: self.resource_server,
            }),
            scopes,
            require_nonce: false,
            created_at: operator.now,
        };
        operator.store.add_app(app.clone()).await?;
        let mut value = json!({
            "client_id": app.id, "name": app.name, "company": company.name, "scope": app.scopes.to_string(),
            "redirect_uris": self.redirect_uri.iter().map(RedirectUri::as_str).collect::<Vec<_>>(),
            "resource_server": self.resource_server,
        });
        let mut text = format!("client_id:     {}", app.id);
        if let Some(secret) = &secret {
            value["client_secret"] = secret.expose().into();
            let shown = secret.expose();
            text.push_str("\nclient_secret: ");
            text.push_str(shown);
            text.push_str("\nThe secret is shown this once; only its hash is kept.");
        }
        operator.answer(&value, &text)
    }
}

/// The scopes of all arguments together; each must be one that there is.
fn known_scopes(arguments: &[String], known: &BTreeSet<&str>) -> anyhow::Result<ScopeSet> {
    let names = arguments.iter().flat_map(|text| text.split([' ', ','])).filter(|n| !n.is_empty());
    let set = ScopeSet::from_names(names)?;
    if let Some(unknown) = set.iter().find(|name| !known.contains(name)) {
        let known: Vec<_> = known.iter().copied().collect();
        bail!("there is no scope {unknown:?}; there are: {}", known.join(", "));
    }
    Ok(set)
}

fn redirect_uri(text: &str) -> Result<RedirectUri, String> {
    RedirectUri::parse(text).map_err(|error| error.to_string())
}
