//! Pages for which nobody need be signed in: what every handler of one begins with, and how it ends when it refuses.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Request, Uri, request::Parts},
    response::Response,
    routing::{MethodRouter, get, post},
};

use super::{cookie::Cookie, error::in_place, form};
use crate::{
    app::App,
    http::{address::ClientAddress, error::Refusal, extract::Parameters, site::Site},
};

/// A page that somebody looks at.
pub struct Look {
    /// The server.
    pub app: Arc<App>,
    /// The host.
    pub site: Site,
    /// The headers.
    pub headers: HeaderMap,
    /// Where it comes from.
    pub address: ClientAddress,
    /// What is looked at.
    pub uri: Uri,
    /// The query.
    pub query: Parameters,
}

/// A form of such a page that was posted, and that we showed to this very browser.
pub struct Posted {
    /// The server.
    pub app: Arc<App>,
    /// The request but for its body.
    pub parts: Parts,
    /// The fields.
    pub form: Parameters,
}

impl Posted {
    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Where it comes from.
    #[must_use]
    pub fn address(&self) -> ClientAddress {
        ClientAddress::of(&self.parts.extensions)
    }
}

/// The route of a page that is looked at.
pub fn looked_at<F, Fut>(handler: F) -> MethodRouter<Arc<App>>
where
    F: Fn(Look) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response, Refusal>> + Send,
{
    get(async move |State(app): State<Arc<App>>, request: Request<Body>| {
        let (parts, _) = request.into_parts();
        let site = Site::met(&parts.extensions);
        let address = ClientAddress::of(&parts.extensions);
        let (headers, uri) = (parts.headers, parts.uri);
        let query = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
        let answer = match query {
            Ok(query) => {
                let (app, headers) = (Arc::clone(&app), headers.clone());
                handler(Look { app, site, headers, address, uri, query }).await
            }
            Err(refusal) => Err(refusal),
        };
        answer.unwrap_or_else(|refusal| in_place(&app, &headers, refusal))
    })
}

/// The route of a form, whose token is tied to this cookie.
pub fn posted<F, Fut>(cookie: Cookie, handler: F) -> MethodRouter<Arc<App>>
where
    F: Fn(Posted) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response, Refusal>> + Send,
{
    post(async move |State(app): State<Arc<App>>, request: Request<Body>| {
        let headers = request.headers().clone();
        let answer = match admit(&app, cookie, request).await {
            Ok(posted) => handler(posted).await,
            Err(refusal) => Err(refusal),
        };
        answer.unwrap_or_else(|refusal| in_place(&app, &headers, refusal))
    })
}

async fn admit(app: &Arc<App>, cookie: Cookie, request: Request<Body>) -> Result<Posted, Refusal> {
    let (parts, form) = form::read(app, request).await?;
    let cookie = cookie.at(Site::met(&parts.extensions));
    form::check(app, cookie.read(app, &parts.headers).as_ref(), &form)?;
    Ok(Posted { app: Arc::clone(app), parts, form })
}
