//! A merchant with a browser that knows forms and cookies and runs no scripts.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, Response, header, redirect::Policy};

use crate::server::{MERCHANT_EMAIL, MERCHANT_PASSWORD};

/// What the merchant presses on the consent page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Approve.
    Approve,
    /// Deny.
    Deny,
}

/// A browser with its cookies.
pub struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
    email: String,
}

impl Browser {
    /// A fresh browser of the usual merchant.
    pub fn new() -> Result<Self> {
        Self::of(MERCHANT_EMAIL)
    }

    /// A fresh browser of another merchant, whose password is the same.
    pub fn of(email: &str) -> Result<Self> {
        let http = Client::builder().redirect(Policy::none()).no_proxy().build()?;
        Ok(Self { http, cookies: BTreeMap::new(), email: email.to_owned() })
    }

    /// Follows an authorization URL through sign-in and consent. Answers where the browser is sent in the end.
    pub async fn decide(&mut self, authorization_url: &str, decision: Decision) -> Result<String> {
        let origin = origin(authorization_url)?;
        let mut page = self.get(authorization_url).await?;
        for _ in 0..8 {
            if let Some(location) = page.location {
                let target = if location.starts_with('/') {
                    format!("{origin}{location}")
                } else {
                    location
                };
                if !target.starts_with(&format!("{origin}/"))
                    || target.contains("code=")
                    || target.contains("error=")
                {
                    return Ok(target);
                }
                page = self.get(&target).await?;
                continue;
            }
            let form = Form::of_page(
                &page.html,
                if page.html.contains("name=\"password\"") { "password" } else { "decision" },
            );
            let form = form.with_context(|| {
                format!("no form to go on with ({}):\n{}", page.status, page.html)
            })?;
            let mut fields = form.fields;
            if page.html.contains("name=\"password\"") {
                fields.insert("email".to_owned(), self.email.clone());
                fields.insert("password".to_owned(), MERCHANT_PASSWORD.to_owned());
            } else {
                let word = if decision == Decision::Approve { "approve" } else { "deny" };
                fields.insert("decision".to_owned(), word.to_owned());
            }
            page = self.post(&format!("{origin}{}", form.action), &fields).await?;
        }
        bail!("the server sends the browser in circles")
    }

    async fn get(&mut self, url: &str) -> Result<Page> {
        let request = self.http.get(url).header(header::COOKIE, self.cookie_header());
        let response = request.send().await?;
        self.read(response).await
    }

    async fn post(&mut self, url: &str, fields: &BTreeMap<String, String>) -> Result<Page> {
        ensure!(url.starts_with("http"), "a form without an address");
        let request = self.http.post(url).header(header::COOKIE, self.cookie_header()).form(fields);
        let response = request.send().await?;
        self.read(response).await
    }

    fn cookie_header(&self) -> String {
        self.cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    async fn read(&mut self, response: Response) -> Result<Page> {
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.trim().to_owned(), value.to_owned());
            }
        }
        let location = response
            .headers()
            .get(header::LOCATION)
            .map(|l| l.to_str().map(str::to_owned))
            .transpose()?;
        let status = response.status().as_u16();
        Ok(Page { status, location, html: response.text().await? })
    }
}

struct Page {
    status: u16,
    location: Option<String>,
    html: String,
}

struct Form {
    action: String,
    fields: BTreeMap<String, String>,
}

impl Form {
    /// The form of a page that has a field of this name, with its hidden fields and the first choice of each group.
    fn of_page(html: &str, field: &str) -> Option<Self> {
        let forms = html
            .split("<form")
            .skip(1)
            .map(|rest| rest.split("</form>").next().unwrap_or_default());
        let form = forms.into_iter().find(|form| form.contains(&format!("name=\"{field}\"")))?;
        let action = attribute(form.split('>').next()?, "action")?;
        let mut fields = BTreeMap::new();
        for input in form.split("<input").skip(1) {
            let tag = input.split('>').next().unwrap_or_default();
            let kind = attribute(tag, "type").unwrap_or_default();
            if let (Some(name), Some(value), "hidden" | "radio") =
                (attribute(tag, "name"), attribute(tag, "value"), kind.as_str())
            {
                fields.entry(name).or_insert(value);
            }
        }
        Some(Self { action, fields })
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split(&format!("{name}=\"")).nth(1)?;
    let value = rest.split('"').next()?;
    let unescaped = [
        ("&amp;", "&"),
        ("&#38;", "&"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#x3d;", "="),
        ("&#61;", "="),
    ];
    Some(unescaped.iter().fold(value.to_owned(), |text, (from, to)| text.replace(from, to)))
}

fn origin(url: &str) -> Result<String> {
    let parts: Vec<_> = url.splitn(4, '/').take(3).collect();
    ensure!(parts.len() == 3, "not a URL: {url}");
    Ok(parts.join("/"))
}
