//! `reach`: whether the server would call an address, and what answers there.

use std::{process::ExitCode, sync::Arc};

use bytes::Bytes;
use hyper::{HeaderMap, Method, header::LOCATION};
use serde_json::json;

use super::operator::{answer, wait};
use crate::{
    clock,
    config::Config,
    outbound::{self, Outbound, Request},
};

/// How many bytes of the answer are shown.
const EXCERPT: usize = 500;

#[derive(clap::Args)]
pub struct Arguments {
    /// The address, as in `https://shop.example/hooks`.
    url: String,
}

/// Sends one GET, as notifications are sent. 0 when something answered, 1 when the address is not called or nothing did.
pub fn run(arguments: Arguments, config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let (clock, _) = clock::system();
    let client = Outbound::new(config, Arc::new(outbound::System), clock)?;
    let Arguments { url } = arguments;
    let headers = HeaderMap::new();
    let request = Request {
        method: Method::GET,
        url,
        headers,
        body: Bytes::new(),
        keep: EXCERPT,
        status_suffices: true,
    };
    match wait(client.send(request))? {
        Ok(found) => {
            let (status, took) = (found.status.as_u16(), found.took.as_millis());
            let body = String::from_utf8_lossy(&found.body);
            let location =
                found.headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
            let value = json!({
                "reached": true, "status": status, "milliseconds": took, "location": location,
                "body": body, "truncated": found.truncated,
            });
            let redirect = location.map_or_else(String::new, |to| {
                format!("\nIt sends callers to {to}; notifications do not follow.")
            });
            answer(json, &value, &format!("It answers {status}, after {took} ms.{redirect}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            let (code, text) = (failure.code(), failure.to_string());
            let value = json!({ "reached": false, "error": code, "message": text });
            answer(json, &value, &format!("{text} ({code})"))?;
            Ok(ExitCode::FAILURE)
        }
    }
}
