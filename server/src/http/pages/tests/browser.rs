//! A browser: it keeps cookies, reads forms, and says truthfully where they come from.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{Request, header},
};

use crate::testing::{Answer, TestServer};

/// A browser at one server.
pub struct Browser<'a> {
    server: &'a TestServer,
    /// The host at which it is.
    pub host: &'static str,
    /// Its cookies.
    pub cookies: BTreeMap<String, String>,
}

impl<'a> Browser<'a> {
    /// A browser that has never been here.
    pub fn new(server: &'a TestServer) -> Self {
        Self::at(server, "pay.example")
    }

    /// What a browser is at one of the server's hosts: cookies are each host's own.
    pub fn at(server: &'a TestServer, host: &'static str) -> Self {
        Self { server, host, cookies: BTreeMap::new() }
    }

    /// Another window of it.
    pub fn copy(&self) -> Self {
        Self { server: self.server, host: self.host, cookies: self.cookies.clone() }
    }

    /// Follows a link.
    pub async fn get(&mut self, path: &str) -> Answer {
        let request = Request::get(path).header(header::ACCEPT, "text/html,*/*;q=0.8");
        self.send(request, Body::empty()).await
    }

    /// Posts a form as a page of ours would.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_from(&format!("https://{}", self.host), "same-origin", path, fields).await
    }

    /// Posts a form from a page of some site.
    pub async fn post_from(
        &mut self,
        origin: &str,
        site: &str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, origin)
            .header("sec-fetch-site", site);
        self.send(request, Body::from(body)).await
    }

    /// Posts a form with a file, as a page of ours would.
    pub async fn upload(&mut self, path: &str, boundary: &str, body: Vec<u8>) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .header(header::ORIGIN, format!("https://{}", self.host))
            .header("sec-fetch-site", "same-origin");
        self.send(request, Body::from(body)).await
    }

    async fn send(&mut self, request: axum::http::request::Builder, body: Body) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let request = request.header(header::HOST, self.host);
        let request = request.header(header::COOKIE, cookies.join("; ")).body(body);
        let answer = self.server.send(request.expect("a request")).await;
        for line in answer.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().expect("text");
            let (name, rest) = line.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Signs in on the page that `path` shows.
    pub async fn sign_in(&mut self, path: &str, email: &str) -> Answer {
        let page = self.get(path).await;
        let (csrf, destination) = (field(&page.body, "csrf"), field(&page.body, "continue"));
        let fields = [
            ("csrf", csrf.as_str()),
            ("continue", &destination),
            ("email", email),
            ("password", super::world::PASSWORD),
        ];
        self.post("/sign-in", &fields).await
    }
}

/// The value of a hidden field, unescaped; empty when there is none.
pub fn field(html: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let value = html.split_once(&start).and_then(|(_, rest)| rest.split('"').next());
    value.unwrap_or_default().replace("&#38;", "&").replace("&amp;", "&")
}

/// The parameters of a redirect to a callback.
pub fn parameters(location: &str) -> BTreeMap<String, String> {
    let query = location.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
