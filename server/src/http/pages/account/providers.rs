//! External providers at `/account`: linked, unlinked, and asked once more who somebody is.

use axum::{http::StatusCode, response::Response};

use super::render;
use crate::{
    app::App,
    events,
    http::{
        address::ClientAddress,
        error::Refusal,
        pages::{
            confirmation, frame,
            guard::{Visit, not_found},
            moment::Moment,
            problem::Problem,
            sign_in::{
                self,
                provider::{Departure, send},
            },
        },
    },
    oidc::Provider,
    people::provider::Purpose,
    store::{Unlinked, User, Ways},
};

const LAST_WAY: &str =
    "This is the only way in which you can sign in. Link another one, or set a password, first.";
const NOT_LINKED: &str = "That account is not linked any more.";

/// A provider, as somebody's account page shows it.
pub struct Entry {
    /// Its name in forms.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// The link with it, if there is one.
    pub link: Option<Link>,
}

/// A link with a provider.
pub struct Link {
    /// The address there, as it was then.
    pub email: String,
    /// Since when.
    pub since: Moment,
    /// When somebody last signed in with it.
    pub used: Option<Moment>,
}

/// The providers of the settings, as somebody's account page shows them.
pub async fn entries(app: &App, user: &User) -> Result<Vec<Entry>, Refusal> {
    let links = app.store.identities(&user.id).await?;
    let entry = |provider: &Provider| Entry {
        name: provider.name().to_owned(),
        label: provider.label().to_owned(),
        link: links.iter().find(|link| link.issuer == provider.issuer()).map(|link| Link {
            email: link.email.clone(),
            since: Moment::from(link.linked_at),
            used: link.used_at.map(Moment::from),
        }),
    };
    Ok(app.providers.iter().map(entry).collect())
}

fn named(visit: &Visit) -> Result<&Provider, Refusal> {
    visit.app.providers.named(visit.form.require("provider")?).ok_or_else(not_found)
}

/// `POST /account/providers/link`: sends the browser there, to come back with the account that is to be linked.
pub async fn link(visit: Visit) -> Result<Response, Refusal> {
    let provider = named(&visit)?;
    let field = format!("confirm-{}", provider.name());
    if let Err(problem) = confirmation::judge(&visit, field).await? {
        return render(&visit, None, Some(&problem)).await;
    }
    let departure = Departure {
        purpose: Purpose::Link { session: visit.signed_in.session.hash },
        destination: None,
        again: None,
        from: ClientAddress::of(&visit.parts.extensions),
    };
    send(&visit.app, &visit.parts.headers, provider, departure).await
}

/// `POST /account/providers/confirm`: has the provider ask once more who it is, and goes on.
pub async fn confirm(visit: Visit) -> Result<Response, Refusal> {
    let provider = named(&visit)?;
    let departure = Departure {
        purpose: Purpose::Confirm { session: visit.signed_in.session.hash },
        destination: sign_in::destination(&visit.form)?,
        again: Some(&visit.signed_in.user.email),
        from: ClientAddress::of(&visit.parts.extensions),
    };
    send(&visit.app, &visit.parts.headers, provider, departure).await
}

/// `POST /account/providers/unlink`.
pub async fn unlink(visit: Visit) -> Result<Response, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    let provider = named(&visit)?;
    let ways = Ways {
        passwords: app.config.passwords,
        issuers: app.providers.iter().map(|it| it.issuer().to_owned()).collect(),
    };
    let (which, keep) = ((provider.issuer(), provider.name()), visit.signed_in.session.hash);
    match app.store.unlink(&user.id, which, ways, keep, app.now()).await? {
        Unlinked::Done => {}
        Unlinked::LastWay => {
            let problem = Problem::new(StatusCode::CONFLICT, LAST_WAY);
            return render(&visit, None, Some(&problem)).await;
        }
        Unlinked::Gone => {
            let problem = Problem::new(StatusCode::NOT_FOUND, NOT_LINKED);
            return render(&visit, None, Some(&problem)).await;
        }
    }
    events::provider_unlinked(&user.id, provider.name());
    let what = format!("Your account can no longer be signed in to through {}.", provider.label());
    app.notify(user, &what, "change your password, and link it again.").await;
    Ok(frame::see_other("/account?done=unlinked"))
}
