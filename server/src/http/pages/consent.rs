//! The consent page: who asks, for which store, for what, and what is new about it.
//!
//! Names come from the profile, the operator and the database, never from the request.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::callback::{LocalHosts, SiteUrl, origin_of};

use super::{
    form,
    frame::{self, Frame},
    session::SignedIn,
    sign_in::Destination,
};
use crate::{
    app::App,
    http::error::Refusal,
    oauth::{
        client::{self, Client},
        consent::{self, News},
        grant::Grant,
        installation::Slot,
        request::AuthorizationRequest,
        scopes,
    },
    ownership::Known,
    people::role::Act,
    store::Company,
};

/// What a page shows, and to whom.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// What is asked for.
    pub request: &'a AuthorizationRequest,
    /// For a native installation: the slot of the request's key.
    pub slot: Option<Slot>,
    /// Whether the store answered at its own address, where that was asked.
    pub ownership: Option<Known>,
    /// Who is asked.
    pub signed_in: &'a SignedIn,
    /// This page's own address, for who signs out and in again as somebody else.
    pub here: &'a Destination,
    /// What the form carries to say which page it is.
    pub ticket: &'a str,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    frame: Frame<'a>,
    csrf: String,
    ticket: &'a str,
    here: &'a str,
    email: &'a str,
    asker: Asker<'a>,
    ownership: Option<Known>,
    /// Whether nobody may approve.
    forbidden: bool,
    notices: Vec<Notice>,
    companies: Vec<Choice>,
    scopes: Vec<&'a str>,
    /// An application's, in two groups: what it sees, what it changes.
    reads: Vec<&'a str>,
    writes: Vec<&'a str>,
    leads_to: String,
    /// Whether that is no host, but a program beside the browser.
    on_this_device: bool,
}

/// Who asks, in words.
struct Asker<'a> {
    name: &'a str,
    publisher: String,
    /// The store's host, and its whole address where that says more.
    store: Option<(String, Option<String>)>,
    privacy_url: Option<&'a str>,
    terms_url: Option<&'a str>,
    /// An application's picture, by its name.
    icon: Option<&'a str>,
    /// Whom to ask for help: what is shown, and where it leads.
    support: Option<(&'a str, String)>,
}

/// Something that a person should know before deciding.
#[derive(Debug, Eq, PartialEq)]
struct Notice {
    title: &'static str,
    text: String,
}

/// A company that may approve.
struct Choice {
    company: Company,
    connected: bool,
}

/// Renders the page.
pub async fn page(app: &App, shown: &Shown<'_>) -> Result<Response, Refusal> {
    let Shown { client, request, signed_in, here, ticket, .. } = *shown;
    let user_id = &signed_in.user.id;
    let connected = app.store.connected_companies(&client.id, user_id).await?;
    let companies: Vec<_> = app
        .store
        .memberships(user_id)
        .await?
        .into_iter()
        .filter(|m| m.role.may(Act::Approve))
        .map(|m| Choice { connected: connected.contains(&m.company.id), company: m.company })
        .collect();
    if companies.is_empty() {
        let sentence = "The person signed in may approve for no company.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "no_company", sentence));
    }
    let (asker, notices) = match shown.slot {
        Some(slot) => {
            let news = consent::news(client, slot, app.now());
            let standing = app.store.redeemed_grant(&client.id).await?;
            (store(app, client, slot), notices(&news, standing.as_ref(), &companies))
        }
        None => (application(app, client).await?, Vec::new()),
    };
    let in_words = |scope| app.config.in_words(scope);
    let (reads, writes) = scopes::by_effect(request.scope.iter());
    let template = ConsentPage {
        frame: Frame::new(app),
        csrf: form::token(app, &signed_in.cookie),
        ticket,
        here: here.as_str(),
        email: &signed_in.user.email,
        asker,
        ownership: shown.ownership,
        forbidden: shown.ownership.is_some_and(Known::forbids),
        notices,
        companies,
        scopes: request.scope.iter().map(in_words).collect(),
        reads: reads.into_iter().map(in_words).collect(),
        writes: writes.into_iter().map(in_words).collect(),
        leads_to: origin_of(&request.redirect_uri),
        on_this_device: !request.redirect_uri.starts_with("https://"),
    };
    Ok(frame::page(StatusCode::OK, &template, Some(&request.redirect_uri)))
}

fn store<'a>(app: &'a App, client: &'a Client, slot: Slot) -> Asker<'a> {
    let profile = client.installation().and_then(|i| app.profiles.get(&i.platform));
    let site_url = consent::site_url(client, slot, app.now()).unwrap_or_default();
    let host = host_of(site_url);
    let below_a_path = site_url.split_once("://").is_none_or(|(_, rest)| rest != host);
    Asker {
        name: profile.map_or(client.name.as_str(), |profile| profile.name.as_str()),
        publisher: profile.map_or(String::new(), |profile| profile.publisher.clone()),
        store: Some((host, below_a_path.then(|| site_url.to_owned()))),
        privacy_url: profile.and_then(|profile| profile.privacy_url.as_deref()),
        terms_url: profile.and_then(|profile| profile.terms_url.as_deref()),
        icon: None,
        support: None,
    }
}

async fn application<'a>(app: &App, client: &'a Client) -> Result<Asker<'a>, Refusal> {
    let closed =
        || Refusal::bad_request("invalid_client", "The company of this application was closed.");
    let client::App { company_id, about, .. } = client.app().ok_or_else(closed)?;
    let owner = app.store.company(company_id).await?.ok_or_else(closed)?;
    Ok(Asker {
        name: &client.name,
        publisher: owner.name,
        store: None,
        privacy_url: about.privacy_url.as_deref(),
        terms_url: about.terms_url.as_deref(),
        icon: about.icon.as_deref(),
        support: about.support.as_deref().map(|support| (support, link_to(support))),
    })
}

/// Where a support contact leads: an address of mail has no scheme of its own.
fn link_to(support: &str) -> String {
    if support.starts_with("https://") { support.to_owned() } else { format!("mailto:{support}") }
}

fn host_of(site_url: &str) -> String {
    SiteUrl::parse(site_url, LocalHosts::Accepted, true)
        .map_or_else(|_| site_url.to_owned(), |site| site.host().to_owned())
}

fn notices(news: &News, standing: Option<&Grant>, companies: &[Choice]) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut say = |title, text| notices.push(Notice { title, text });
    match standing {
        _ if news.first => say(
            "New store",
            "This store has never been connected before. Approve only if you are setting it up yourself just now.".to_owned(),
        ),
        None => say(
            "Not connected at present",
            "This store was connected before and is not now. Approving connects it again.".to_owned(),
        ),
        Some(grant) if companies.iter().any(|choice| choice.company.id == grant.company_id) => {
            if companies.len() > 1 {
                let company = &grant.company_name;
                say("Already connected", format!("This store is connected to {company}. Choosing another company ends that connection."));
            }
        }
        Some(_) => say(
            "Connected to another company",
            "This store is connected to a company that you do not act for. Approving ends that connection.".to_owned(),
        ),
    }
    if let Some(site_url) = &news.moved_from {
        let host = host_of(site_url);
        say(
            "New address",
            format!("This store was at {host} before. Approve only if you moved it."),
        );
    }
    if news.key {
        say(
            "New key",
            "This store proves who it is with a new key. That is so after a new installation or a move to another server. Approving ends every connection made with the old key.".to_owned(),
        );
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(ids: &[&str]) -> Vec<Choice> {
        let company = |id: &&str| Company { id: (*id).to_owned(), name: (*id).to_owned() };
        ids.iter().map(|id| Choice { company: company(id), connected: false }).collect()
    }

    #[test]
    fn what_is_new_is_said() {
        let grant = |company: &str| Grant {
            id: String::new(),
            client_id: String::new(),
            company_id: company.to_owned(),
            company_name: company.to_owned(),
            redeemed_at: None,
            revoked_at: None,
        };
        let check = |news: &News, standing: Option<&str>, mine: &[&str], titles: &[&str]| {
            let standing = standing.map(grant);
            let said = notices(news, standing.as_ref(), &choices(mine));
            assert_eq!(said.iter().map(|notice| notice.title).collect::<Vec<_>>(), titles);
        };
        let nothing = News::default();
        let first = News { first: true, ..News::default() };
        let all = News { first: false, key: true, moved_from: Some("https://a.example".into()) };
        check(&first, None, &["A"], &["New store"]);
        check(&nothing, Some("A"), &["A"], &[]);
        check(&nothing, Some("A"), &["A", "B"], &["Already connected"]);
        check(&nothing, Some("C"), &["A"], &["Connected to another company"]);
        check(&nothing, None, &["A"], &["Not connected at present"]);
        check(&all, Some("A"), &["A"], &["New address", "New key"]);
    }

    #[test]
    fn hosts() {
        assert_eq!(host_of("https://shop.example:8443/de"), "shop.example:8443");
        assert_eq!(host_of("http://127.0.0.1:8088"), "127.0.0.1:8088");
    }
}
