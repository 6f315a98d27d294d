//! `app add`.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use counterfoil_protocol::{callback::RedirectUri, secret::Secret};
use serde_json::json;

use super::{edit, find, must_be_done};
use crate::{
    cli::operator::Operator,
    icon,
    oauth::{
        application::{Draft, Fault, MAX_APPLICATIONS, judge},
        client::{About, App, Client, ClientKind},
    },
    profiles::Profiles,
    store::{AddedApp, AppChange, Applications as _, Picture},
};

#[derive(clap::Args)]
pub struct Add {
    /// The name that merchants are shown.
    #[arg(long)]
    name: String,
    /// The company it belongs to, by name or id.
    #[arg(long)]
    company: String,
    /// A callback, compared byte by byte. Repeatable.
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,
    /// Scopes it may ask for, with spaces or commas between. Repeatable.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Whom merchants ask for help: an e-mail address or an https link.
    #[arg(long, default_value = "", hide_default_value = true)]
    support: String,
    /// Its privacy policy, an https link.
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    privacy_url: String,
    /// Its terms, an https link.
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    terms_url: String,
    /// Its picture, a PNG, JPEG or WebP file. It is drawn anew.
    #[arg(long, value_name = "FILE")]
    icon: Option<PathBuf>,
    /// It has no secret: an application on people's own devices.
    #[arg(long)]
    public: bool,
    /// It may introspect the tokens of the partner API.
    #[arg(long, conflicts_with = "public")]
    resource_server: bool,
}

impl Add {
    pub async fn run(self, operator: &Operator) -> anyhow::Result<()> {
        let profiles = Profiles::load(operator.config.profiles_dir.as_deref())?;
        let names =
            self.scope.iter().flat_map(|text| text.split([' ', ','])).filter(|n| !n.is_empty());
        let draft = Draft {
            name: &self.name,
            redirect_uris: self.redirect_uri.iter().map(String::as_str).collect(),
            scopes: names.collect(),
            support: &self.support,
            privacy_url: &self.privacy_url,
            terms_url: &self.terms_url,
        };
        if self.public && draft.redirect_uris.is_empty() {
            bail!("a public application needs at least one --redirect-uri");
        }
        // With a secret it may act for its own company alone, and needs no callback for that.
        let mut known = profiles.scopes();
        known.extend(operator.config.upstream_scopes());
        let judged = judge(&draft, &known, false);
        let settings = judged.map_err(|faults| anyhow::anyhow!(sentences(&faults)))?;
        if settings.scopes.is_empty() && !self.resource_server {
            bail!("an application needs at least one --scope");
        }
        let picture = picture(self.icon.as_ref()).await?;
        let company = operator.company(&self.company).await?;
        let secret = (!self.public).then(|| Secret::new(operator.entropy.secret("mco_sec_")));
        let app = App {
            company_id: company.id,
            secret_hash: secret.as_ref().map(Secret::sha256),
            redirect_uris: settings.redirect_uris,
            resource_server: self.resource_server,
            about: About {
                support: settings.support,
                privacy_url: settings.privacy_url,
                terms_url: settings.terms_url,
                icon: None,
            },
            version: 1,
            ..App::default()
        };
        let client = Client {
            id: operator.entropy.id("mco_app_"),
            name: settings.name,
            kind: ClientKind::App(app),
            scopes: settings.scopes,
            require_nonce: false,
            created_at: operator.now,
        };
        let id = client.id.clone();
        match operator.store.add_app(client, &operator.actor, MAX_APPLICATIONS).await? {
            AddedApp::Added => {}
            AddedApp::Known => bail!("{id} was there before; run the command again"),
            AddedApp::Full => {
                bail!("{} has {MAX_APPLICATIONS} applications, the most it may have", company.name)
            }
            AddedApp::Closed => bail!("{} was closed meanwhile", company.name),
        }
        if let Some(picture) = picture {
            let (client, app) = find(operator, &id).await?;
            let edit = edit(operator, &client, &app);
            let change = AppChange::Icon(Some(picture));
            must_be_done(operator.store.change_app(edit, change).await?, &id)?;
        }
        answer(operator, &id, &company.name, secret.as_ref()).await
    }
}

async fn answer(
    operator: &Operator,
    id: &str,
    company: &str,
    secret: Option<&Secret>,
) -> anyhow::Result<()> {
    let (client, app) = find(operator, id).await?;
    let uris: Vec<_> = app.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let mut value = json!({
        "client_id": id, "name": client.name, "company": company, "scope": client.scopes.to_string(),
        "redirect_uris": uris, "resource_server": app.resource_server, "support": app.about.support,
        "privacy_url": app.about.privacy_url, "terms_url": app.about.terms_url, "icon": app.about.icon,
    });
    let mut text = format!("client_id:     {id}");
    if let Some(secret) = secret {
        value["client_secret"] = secret.expose().into();
        let shown = secret.expose();
        text.push_str("\nclient_secret: ");
        text.push_str(shown);
        text.push_str("\nThe secret is shown this once; only its hash is kept.");
    }
    operator.answer(&value, &text)
}

async fn picture(path: Option<&PathBuf>) -> anyhow::Result<Option<Picture>> {
    let Some(path) = path else { return Ok(None) };
    let length = fs::metadata(path).with_context(|| path.display().to_string())?.len();
    let drawn = if length > icon::MAX_FILE as u64 {
        Err(icon::IconError::Large)
    } else {
        icon::draw(fs::read(path).with_context(|| path.display().to_string())?).await
    };
    Ok(Some(drawn.with_context(|| path.display().to_string())?))
}

fn sentences(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
