//! The one guard of the pages for people who are signed in.
//!
//! Pages are registered in a table: method, path, who may. The router is made of it, and so is the test that tries every
//! page as everybody. Before a handler runs, the guard has found the session, the company and the role; of a post it has
//! checked origin and form token as well, and read the form. No page of a company is routed around it.

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
    cookie::Cookie,
    error::in_place,
    form,
    session::SignedIn,
    sign_in::{self, Destination},
};
use crate::{
    app::App,
    http::{error::Refusal, extract::Parameters},
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
    path: Vec<(String, String)>,
}

impl Visit {
    /// A parameter of the path. Empty when the route has none of this name.
    #[must_use]
    pub fn path(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The token for forms on this page.
    #[must_use]
    pub fn csrf(&self) -> String {
        form::token(&self.app, &self.signed_in.cookie)
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;
type Handler = Arc<dyn Fn(Visit, Option<Membership>) -> Answer + Send + Sync>;

/// One page of the table.
pub struct Page {
    /// GET or POST.
    pub method: Method,
    /// The path, as axum writes it.
    pub path: &'static str,
    /// Who may.
    pub who: Who,
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
        self.0.push(Page { method, path, who: Who::Person, handler });
        self
    }

    /// A page of the company that the path names with `{company}`, for whoever may do `act` there.
    #[must_use]
    pub fn member<F, Fut>(
        mut self,
        method: Method,
        path: &'static str,
        act: Act,
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
        self.0.push(Page { method, path, who: Who::Member(act), handler });
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
        self.0.into_iter().fold(Router::new(), |router, page| {
            let Page { method, path, who, handler } = page;
            let filter = MethodFilter::try_from(method).expect("pages are got and posted");
            let run = move |State(app): State<Arc<App>>, request: Request<Body>| async move {
                let headers = request.headers().clone();
                let answer = match admit(&app, who, request).await {
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
    /// Nobody is signed in; this asks for it.
    SignInFirst(Response),
}

async fn admit(app: &Arc<App>, who: Who, mut request: Request<Body>) -> Result<Admitted, Refusal> {
    let params = request.extract_parts::<RawPathParams>().await;
    let params = params.map_err(|_| not_found())?;
    let path: Vec<(String, String)> =
        params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let is_post = request.method() == Method::POST;
    let Some(signed_in) = app.signed_in(request.headers()).await? else {
        if is_post {
            return Err(form::refused("nobody is signed in"));
        }
        let here = request.uri().path_and_query().map(PathAndQuery::as_str);
        let here = here.and_then(Destination::parse);
        return Ok(Admitted::SignInFirst(sign_in::ask(app, request.headers(), here.as_ref())));
    };
    let (parts, form) = if is_post {
        let (parts, form) = form::read(app, request).await?;
        form::check(app, Cookie::Session.read(app, &parts.headers).as_ref(), &form)?;
        (parts, form)
    } else {
        (request.into_parts().0, Parameters::default())
    };
    let visit = Visit { app: Arc::clone(app), parts, signed_in, form, path };
    let place = match who {
        Who::Person => None,
        Who::Member(act) => Some(place(&visit, act).await?),
    };
    Ok(Admitted::In(Box::new(visit), place))
}

/// The person's place in the company of the path. Whoever has none does not learn that there is such a company.
async fn place(visit: &Visit, act: Act) -> Result<Membership, Refusal> {
    let company = visit.path(COMPANY);
    let memberships = visit.app.store.memberships(&visit.signed_in.user.id).await?;
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
