//! The one guard of the pages for people who are signed in.
//!
//! Pages are registered in a table: method, path, who may. The router is made of it, and so is the test that tries every
//! page as everybody. Before a handler runs, the guard has found the session, the company and the role; of a post it has
//! checked origin and form token as well, and read the form; an upload's only once its role is known. No page of a
//! company is routed around it.

use std::{pin::Pin, sync::Arc};

use axum::{
    RequestExt as _, Router,
    body::Body,
    extract::{RawPathParams, State},
    http::{Method, Request, StatusCode, request::Parts, uri::PathAndQuery},
    response::Response,
    routing::{MethodFilter, on},
};

use super::{
    error::{self, in_place},
    form, hand_over,
    session::SignedIn,
    sign_in::{self, Destination},
};
use crate::{
    app::App,
    http::{
        error::Refusal,
        extract::{self, Parameters},
        multipart,
        site::Site,
    },
    people::role::Act,
    store::Membership,
};

/// The path parameter that names the company of a page.
const COMPANY: &str = "company";

/// Who may see a page, or post to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    /// Whoever is signed in.
    Person,
    /// Whoever may do this for the company that the path names with `{company}`.
    Member(Act),
}

/// A request by somebody who is signed in.
pub struct Visit {
    /// The server.
    pub app: Arc<App>,
    /// The request but for its body.
    pub parts: Parts,
    /// Who is signed in.
    pub signed_in: SignedIn,
    /// The fields of a form that was posted; empty for a page that is only looked at.
    pub form: Parameters,
    /// The file that was uploaded, by a page that takes one.
    pub file: Option<Vec<u8>>,
    path: Vec<(String, String)>,
}

impl Visit {
    /// A parameter of the path. Empty when the route has none of this name.
    #[must_use]
    pub fn path(&self, name: &str) -> &str {
        named(&self.path, name)
    }

    /// The token for forms on this page.
    #[must_use]
    pub fn csrf(&self) -> String {
        form::token(&self.app, &self.signed_in.cookie)
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;
type Handler = Arc<dyn Fn(Visit, Option<Membership>) -> Answer + Send + Sync>;

/// What is posted to a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Takes {
    /// Fields.
    Form,
    /// Fields and a file of so many bytes at most.
    File(usize),
}

/// One page of the table.
pub struct Page {
    /// GET or POST.
    pub method: Method,
    /// The path, as axum writes it.
    pub path: &'static str,
    /// Who may.
    pub who: Who,
    /// What it takes when it is posted to.
    pub takes: Takes,
    handler: Handler,
}

/// The table of pages.
#[derive(Default)]
pub struct Pages(Vec<Page>);

impl Pages {
    /// A page for whoever is signed in.
    #[must_use]
    pub fn person<F, Fut>(mut self, method: Method, path: &'static str, handler: F) -> Self
    where
        F: Fn(Visit) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |visit, _| Box::pin(handler(visit)));
        self.0.push(Page { method, path, who: Who::Person, takes: Takes::Form, handler });
        self
    }

    /// A page of the company that the path names with `{company}`, for whoever may do `act` there.
    #[must_use]
    pub fn member<F, Fut>(self, method: Method, path: &'static str, act: Act, handler: F) -> Self
    where
        F: Fn(Visit, Membership) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        self.with(method, path, (act, Takes::Form), handler)
    }

    /// The same, to which a file of so many bytes at most is posted, as `multipart/form-data`.
    #[must_use]
    pub fn upload<F, Fut>(self, path: &'static str, act: Act, most: usize, handler: F) -> Self
    where
        F: Fn(Visit, Membership) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        self.with(Method::POST, path, (act, Takes::File(most)), handler)
    }

    fn with<F, Fut>(
        mut self,
        method: Method,
        path: &'static str,
        (act, takes): (Act, Takes),
        handler: F,
    ) -> Self
    where
        F: Fn(Visit, Membership) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Refusal>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |visit, place| match place {
            Some(place) => Box::pin(handler(visit, place)),
            None => Box::pin(async { Err(not_found()) }),
        });
        self.0.push(Page { method, path, who: Who::Member(act), takes, handler });
        self
    }

    /// The pages.
    #[cfg(test)]
    #[must_use]
    pub fn table(&self) -> &[Page] {
        &self.0
    }

    /// Their routes.
    pub fn router(self) -> Router<Arc<App>> {
        let looked_at: Vec<&'static str> =
            self.0.iter().filter(|page| page.method == Method::GET).map(|page| page.path).collect();
        self.0.into_iter().fold(Router::new(), |router, page| {
            let Page { method, path, who, takes, handler } = page;
            let shown_at = segments_to_page(path, &looked_at);
            let filter = MethodFilter::try_from(method).expect("pages are got and posted");
            let run = move |State(app): State<Arc<App>>, request: Request<Body>| async move {
                let headers = request.headers().clone();
                let answer = match admit(&app, (who, takes, shown_at), request).await {
                    Ok(Admitted::In(visit, place)) => handler(*visit, place).await,
                    Ok(Admitted::SignInFirst(response)) => Ok(response),
                    Err(refusal) => Err(refusal),
                };
                answer.unwrap_or_else(|refusal| in_place(&app, &headers, refusal))
            };
            router.route(path, on(filter, run))
        })
    }
}

/// What the guard says to a request.
enum Admitted {
    /// It goes on to its handler.
    In(Box<Visit>, Option<Membership>),
    /// Nobody is signed in; this asks for it, or says so to whoever sent a form.
    SignInFirst(Response),
}

async fn admit(
    app: &Arc<App>,
    (who, takes, shown_at): (Who, Takes, usize),
    mut request: Request<Body>,
) -> Result<Admitted, Refusal> {
    let params = request.extract_parts::<RawPathParams>().await;
    let params = params.map_err(|_| not_found())?;
    let path: Vec<(String, String)> =
        params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let is_post = request.method() == Method::POST;
    let site = Site::met(request.extensions());
    let Some(signed_in) = app.signed_in_at(site, request.headers()).await? else {
        if is_post {
            let path: Vec<&str> = request.uri().path().split('/').take(shown_at).collect();
            let shown_at = Destination::parse(&path.join("/"));
            let told = error::session_ended(app, request.headers(), shown_at.as_ref());
            return Ok(Admitted::SignInFirst(told));
        }
        let here = request.uri().path_and_query().map(PathAndQuery::as_str);
        let here = here.and_then(Destination::parse);
        let ask = match site {
            Site::Issuer => sign_in::ask(app, request.headers(), here.as_ref()),
            Site::Portal => hand_over::begin(app, request.headers(), here.as_ref()),
        };
        return Ok(Admitted::SignInFirst(ask));
    };
    let (parts, body) = request.into_parts();
    if is_post {
        form::judge_origin(app, &parts)?;
    }
    let place = match who {
        Who::Person => None,
        Who::Member(act) => Some(place(app, &signed_in, named(&path, COMPANY), act).await?),
    };
    let (form, file) = match takes {
        _ if !is_post => (Parameters::default(), None),
        Takes::Form => (extract::form(&parts, body, app.config.limits.body).await?, None),
        Takes::File(most) => multipart::read(&parts, body, most).await?,
    };
    if is_post {
        form::check(app, Some(&signed_in.cookie), &form)?;
    }
    let visit = Visit { app: Arc::clone(app), parts, signed_in, form, file, path };
    Ok(Admitted::In(Box::new(visit), place))
}

/// How many segments of a form's path lead to the page that shows it: the path itself, or the nearest above it that is
/// looked at. None of them leads to `/`, which is no page of the table.
fn segments_to_page(path: &str, looked_at: &[&str]) -> usize {
    let segments: Vec<&str> = path.split('/').collect();
    let is_shown = |count: &usize| looked_at.contains(&segments[..*count].join("/").as_str());
    (2..=segments.len()).rev().find(is_shown).unwrap_or_default()
}

/// A parameter of a path. Empty when there is none of this name.
fn named<'a>(path: &'a [(String, String)], name: &str) -> &'a str {
    path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// The person's place in the company of the path. Whoever has none does not learn that there is such a company.
async fn place(
    app: &App,
    signed_in: &SignedIn,
    company: &str,
    act: Act,
) -> Result<Membership, Refusal> {
    let memberships = app.store.memberships(&signed_in.user.id).await?;
    let place = memberships.into_iter().find(|place| place.company.id == company);
    let place = place.ok_or_else(not_found)?;
    if place.role.may(act) {
        return Ok(place);
    }
    let sentence = format!(
        "Your role at {} is {}, which does not allow this.",
        place.company.name,
        place.role.title()
    );
    Err(Refusal::new(StatusCode::FORBIDDEN, "role_not_allowed", sentence))
}

/// 404 for a page that is not there, or not for this person.
#[must_use]
pub fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.")
}
