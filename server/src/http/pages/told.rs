//! A page that says one thing, and where to go on.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::frame::{self, Frame};
use crate::app::App;

#[derive(Template)]
#[template(path = "told.html")]
struct ToldPage<'a> {
    frame: Frame<'a>,
    title: &'a str,
    text: &'a str,
    link: (&'a str, &'a str),
}

/// Says something; `link` is where it goes on, and in which words.
#[must_use]
pub fn page(
    app: &App,
    status: StatusCode,
    title: &str,
    text: &str,
    link: (&str, &str),
) -> Response {
    let template = ToldPage { frame: Frame::new(app), title, text, link };
    frame::page(status, &template, None)
}
