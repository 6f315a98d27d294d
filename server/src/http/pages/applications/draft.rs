//! What a developer writes about an application, as the form has it.

use counterfoil_protocol::callback::RedirectUri;

use crate::{
    http::extract::Parameters,
    oauth::{
        application::{Draft, Fault, Field},
        client::{App, Client},
        scopes,
    },
};

/// The fields of the form, as they were written or as they are kept.
#[derive(Default)]
pub struct Written {
    /// The name.
    pub name: String,
    /// The callbacks, one a line.
    pub redirect_uris: String,
    /// The scopes that are chosen.
    pub scopes: Vec<String>,
    /// The support contact.
    pub support: String,
    /// The privacy policy.
    pub privacy_url: String,
    /// The terms.
    pub terms_url: String,
    /// Whether it is to be public.
    pub is_public: bool,
}

impl Written {
    /// What was posted. A scope is a field of its own, so that no name comes twice.
    pub fn read(form: &Parameters, known: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let text = |name: &str| form.owned(name).unwrap_or_default();
        let chosen = known.into_iter().filter(|scope| form.get(&field(scope.as_ref())).is_some());
        Self {
            name: text("name"),
            redirect_uris: text("redirect_uris"),
            scopes: chosen.map(|scope| scope.as_ref().to_owned()).collect(),
            support: text("support"),
            privacy_url: text("privacy_url"),
            terms_url: text("terms_url"),
            is_public: form.get("kind") == Some("public"),
        }
    }

    /// What is kept of an application.
    pub fn of(client: &Client, app: &App) -> Self {
        let uris: Vec<_> = app.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let about = app.about.clone();
        Self {
            name: client.name.clone(),
            redirect_uris: uris.join("\n"),
            scopes: client.scopes.iter().map(str::to_owned).collect(),
            support: about.support.unwrap_or_default(),
            privacy_url: about.privacy_url.unwrap_or_default(),
            terms_url: about.terms_url.unwrap_or_default(),
            is_public: app.secret_hash.is_none(),
        }
    }

    /// As the rules take it.
    pub fn draft(&self) -> Draft<'_> {
        Draft {
            name: &self.name,
            redirect_uris: self
                .redirect_uris
                .lines()
                .map(str::trim)
                .filter(|l| !l.is_empty())
                .collect(),
            scopes: self.scopes.iter().map(String::as_str).collect(),
            support: &self.support,
            privacy_url: &self.privacy_url,
            terms_url: &self.terms_url,
        }
    }
}

/// A scope to choose.
pub struct Choice<'a> {
    /// Its field.
    pub field: String,
    /// Its name.
    pub name: &'a str,
    /// What it allows.
    pub words: &'a str,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// The scopes to choose from: those by which something is only seen, and all others.
pub fn choices<'a>(
    known: impl IntoIterator<Item = &'a str>,
    in_words: impl Fn(&'a str) -> &'a str,
    written: &Written,
) -> [(&'static str, Vec<Choice<'a>>); 2] {
    let (reads, writes) = scopes::by_effect(known);
    let choices = |names: Vec<&'a str>| {
        let choice = |name| Choice {
            field: field(name),
            name,
            words: in_words(name),
            chosen: written.scopes.iter().any(|scope| scope == name),
        };
        names.into_iter().map(choice).collect()
    };
    [("See", choices(reads)), ("Change", choices(writes))]
}

fn field(scope: &str) -> String {
    format!("scope:{scope}")
}

/// What is wrong, for the places of the form.
#[derive(Default)]
pub struct Problems(pub Vec<Fault>);

impl Problems {
    /// What is wrong with one field.
    fn of(&self, field: Field) -> Option<&str> {
        self.0.iter().find(|fault| fault.field == field).map(|fault| fault.sentence.as_str())
    }

    /// What is wrong with the name.
    pub fn name(&self) -> Option<&str> {
        self.of(Field::Name)
    }

    /// What is wrong with the callbacks.
    pub fn redirect_uris(&self) -> Option<&str> {
        self.of(Field::RedirectUris)
    }

    /// What is wrong with the scopes.
    pub fn scopes(&self) -> Option<&str> {
        self.of(Field::Scopes)
    }

    /// What is wrong with the support contact.
    pub fn support(&self) -> Option<&str> {
        self.of(Field::Support)
    }

    /// What is wrong with the privacy policy.
    pub fn privacy_url(&self) -> Option<&str> {
        self.of(Field::PrivacyUrl)
    }

    /// What is wrong with the terms.
    pub fn terms_url(&self) -> Option<&str> {
        self.of(Field::TermsUrl)
    }
}
