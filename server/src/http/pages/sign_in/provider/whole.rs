//! Somebody of whom a provider vouches: who that is here, and the session that begins.

use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{Stop, identity, link};
use crate::{
    app::App,
    audit::Actor,
    events,
    http::{
        address::ClientAddress,
        error::Refusal,
        pages::{
            cookie::Cookie,
            frame,
            open::Look,
            session::Standing,
            sign_in::{Destination, HOME, code},
            visitor::{append_cookies, mark_browser},
        },
    },
    oidc::Provider,
    people::provider::{Account, Claims, First, Refused},
    store::{Attempt, Linked, Made, Noted, User},
};

/// Somebody who came back to sign in.
pub(super) struct Arrival<'a> {
    pub look: &'a Look,
    pub provider: &'a Provider,
    pub claims: &'a Claims,
}

/// What a session begins with that a provider vouches for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vouched {
    /// Whether the provider saw a second factor that counts.
    pub second_factor: bool,
    /// Whether the person proved it just now, and not long ago.
    pub just_now: bool,
}

impl Arrival<'_> {
    /// Signs the person in, or asks for what is missing.
    pub async fn sign_in(&self, attempt: &Attempt) -> Result<Response, Stop> {
        let Self { look, provider, claims } = self;
        let app = &look.app;
        let vouched = Vouched {
            second_factor: provider.policy().saw_second_factor(claims),
            just_now: claims.just_now(attempt.started_at, app.now()).is_ok(),
        };
        let destination = attempt.destination.as_deref().and_then(Destination::parse);
        let user = match app.store.identity(provider.issuer(), &claims.subject).await? {
            Some(user) => user,
            None => match self.first_time().await? {
                Ok(user) => user,
                Err(user) => {
                    let pending = link::Pending::new(app, self, &user, (attempt, vouched));
                    return Ok(link::page(app, &look.headers, &pending, &user.email, None));
                }
            },
        };
        if user.disabled_at.is_some() {
            return Err(Refused::Unknown.into());
        }
        let who = Who { provider, subject: &claims.subject, user: &user };
        let from = look.address;
        Ok(begin(app, (&look.headers, from), &who, (vouched, destination.as_ref())).await?)
    }

    /// The person of a subject that nobody is linked with. `Err` is whose password is to be given first.
    async fn first_time(&self) -> Result<Result<User, User>, Stop> {
        let Self { look, provider, claims } = self;
        let (app, now) = (&look.app, look.app.now());
        let email = claims.verified_email()?;
        let known = app.store.user_by_email(email).await?;
        let account = match &known {
            None => None,
            Some(user) => {
                let links = app.store.identities(&user.id).await?;
                Some(Account {
                    disabled: user.disabled_at.is_some(),
                    has_password: !user.password_hash.is_empty(),
                    linked_here: links.iter().any(|it| it.issuer == provider.issuer()),
                    linked: !links.is_empty(),
                })
            }
        };
        let invited = app.store.is_invited(email, now).await?;
        match (provider.policy().judge(account, invited)?, known) {
            (First::ProvePassword, Some(user)) => Ok(Err(user)),
            (First::Link(provided), Some(user)) => {
                let identity = identity(app, provider, claims, &user.id);
                match app.store.link(identity, provided).await? {
                    Linked::Done => {
                        app.tell_linked(&user, provider).await;
                        Ok(Ok(user))
                    }
                    Linked::Taken => Err(Stop::Taken),
                    Linked::Occupied => Err(Refused::OtherWay.into()),
                    Linked::Gone => Err(Refused::Unknown.into()),
                }
            }
            (First::Make { invited }, _) => {
                let user = User {
                    id: app.entropy.id("mco_user_"),
                    email: email.to_owned(),
                    password_hash: String::new(),
                    disabled_at: None,
                };
                let identity = identity(app, provider, claims, &user.id);
                match app.store.make_person(user.clone(), identity, invited).await? {
                    Made::Done => Ok(Ok(user)),
                    Made::Taken => Err(Stop::Taken),
                    Made::NotInvited => Err(Refused::Unknown.into()),
                }
            }
            (_, None) => Err(Refused::Unknown.into()),
        }
    }
}

/// Who signs in through which provider.
pub(super) struct Who<'a> {
    pub provider: &'a Provider,
    pub subject: &'a str,
    pub user: &'a User,
}

/// Begins the session. Whoever has codes turned on gives one now, unless the provider saw a second factor that counts.
pub(super) async fn begin(
    app: &App,
    (headers, from): (&HeaderMap, ClientAddress),
    who: &Who<'_>,
    (vouched, destination): (Vouched, Option<&Destination>),
) -> Result<Response, Refusal> {
    let Who { provider, subject, user } = *who;
    let standing = if vouched.second_factor && vouched.just_now {
        Standing::Proved
    } else if !vouched.second_factor && app.factor_of(&user.id).await?.is_some() {
        Standing::Half
    } else {
        Standing::Whole
    };
    let mut new = app.new_session(user, headers, from, standing).through(provider.name());
    new.session.confirmed_at = vouched.just_now.then(|| app.now());
    let before = Cookie::Session.read(app, headers).map(|cookie| cookie.sha256());
    let by = (provider.issuer(), subject);
    if !app.store.sign_in_through(by, new.session, before, app.now()).await? {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "access_denied",
            "The account was unlinked meanwhile.",
        ));
    }
    if standing == Standing::Half {
        let mut response = frame::see_other(&code::link(destination));
        append_cookies(&mut response, [new.set]);
        return Ok(response);
    }
    app.note_signed_in_through(&user.id, provider.name()).await?;
    let mut response = frame::see_other(destination.map_or(HOME, Destination::as_str));
    append_cookies(&mut response, [new.set, mark_browser(app, &user.email)]);
    Ok(response)
}

impl App {
    /// Notes that somebody signed in through a provider, wholly.
    pub async fn note_signed_in_through(
        &self,
        user_id: &str,
        provider: &str,
    ) -> Result<(), Refusal> {
        let actor = Actor::User(user_id.to_owned());
        self.store.note_provider(&actor, Noted::SignedIn, provider, self.now()).await?;
        events::signed_in_through(user_id, provider);
        Ok(())
    }

    /// Tells a person, and the log, that an account elsewhere now opens theirs.
    pub async fn tell_linked(&self, user: &User, provider: &Provider) {
        events::provider_linked(&user.id, provider.name());
        let what = format!("Your account can now be signed in to through {}.", provider.label());
        self.notify(user, &what, "sign in, unlink it at Your account, and tell support.").await;
    }
}
