//! `counterfoild connect`.

use std::process::ExitCode;

use anyhow::{Error, Result, anyhow, bail};
use clap::Args;
use counterfoil_protocol::UnixTime;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{
    Where,
    admin::{Admin, block_on},
    say,
};
use crate::{
    clock::{Clock as _, System},
    history::{Kind, Record},
    moment::Moments,
    trouble::Code,
};

#[derive(Args, Debug)]
pub(super) struct Connect {
    #[command(flatten)]
    place: Where,
    /// Ask for these permissions only
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Print the address and do not wait
    #[arg(long)]
    no_wait: bool,
}

/// How an attempt can end, as the history names it.
const ENDS: [Kind; 2] = [Kind::Connected, Kind::ConnectFailed];

impl Connect {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let admin = Admin::order(&self.place).await?;
            let body =
                if self.scope.is_empty() { json!({}) } else { json!({ "scopes": self.scope }) };
            let answer = admin.exchange(Method::POST, "/v1/connect", Some(body)).await;
            let answer = answer.map_err(|unhelped| over(&unhelped.into()))?;
            // Listened for before anybody has the address, so that no end is missed.
            let ends = if self.no_wait { None } else { Some(listen(&admin).await) };
            say(&asked(&answer, System.now(), &Moments::new(false)));
            let Some(ends) = ends else { return Ok(ExitCode::SUCCESS) };
            let ends = ends?;
            let pending = pending(&admin).await?;
            let until = pending.as_ref().and_then(|it| it.get("expires_at")?.as_i64());
            let until = until.map(|at| Moments::new(false).exact(UnixTime(at)));
            let until = until.map_or(String::new(), |at| format!(", until {at}"));
            say(&format!("Waiting for the approval{until} …"));
            say(&wait(&admin, ends).await?);
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// An attempt that was not begun: the daemon repeats what it has to do, and not what a person asked for.
fn over(error: &Error) -> Error {
    anyhow!(
        "{error:#}\nThe attempt to connect is over; when that is mended, run counterfoild connect again."
    )
}

/// The address and what to do with it. It is opened by its own time; the approval may take longer.
fn asked(answer: &Value, now: UnixTime, moments: &Moments) -> String {
    let url = answer.get("authorization_url").and_then(Value::as_str).unwrap_or_default();
    let until = answer.get("expires_at").and_then(Value::as_i64).map(UnixTime);
    let until = until.map_or(String::new(), |at| format!(", {},", moments.both(at, now)));
    format!(
        "Open this address in a browser before it ends{until} choose the company and approve:\n\n{url}\n"
    )
}

/// The ends of attempts, from now on.
async fn listen(admin: &Admin) -> Result<Response> {
    let kinds = ENDS.map(|kind| format!("&kind={}", kind.name())).concat();
    Ok(admin.follow(&format!("/v1/admin/events?follow=true{kinds}")).await?)
}

/// The attempt that is open, if one is.
async fn pending(admin: &Admin) -> Result<Option<Value>> {
    let status = admin.ask(Method::GET, "/v1/status", None).await?;
    Ok(status.get("pending").filter(|pending| !pending.is_null()).cloned())
}

/// Waits until the attempt has ended: with a connection, refused, or by its time.
async fn wait(admin: &Admin, mut ends: Response) -> Result<String> {
    let (mut text, mut is_over) = (String::new(), false);
    loop {
        let Ok(Some(more)) = ends.chunk().await else {
            bail!("the daemon ended; start it, and look with: counterfoild status");
        };
        text.push_str(&String::from_utf8_lossy(&more));
        let is_open = pending(admin).await?.is_some();
        while let Some((line, rest)) = text.split_once('\n') {
            let record = serde_json::from_str(line).ok();
            text = rest.to_owned();
            if let Some(ended) = record.and_then(|record| judge(&record, is_open)) {
                return ended;
            }
        }
        // A line that means nothing comes every few seconds. An end that was told comes before the second of them.
        if is_over && !is_open {
            bail!(
                "the time for the approval is over\nWhat to do: Run counterfoild connect again and open the new address; how the connection is says: counterfoild status"
            );
        }
        is_over = !is_open;
    }
}

/// What a record says about the attempt; `None` where another one ended than the one that is open.
fn judge(record: &Record, is_open: bool) -> Option<Result<String>> {
    let word = |name: &str| record.detail.get(name).and_then(Value::as_str);
    match record.kind {
        Kind::Connected => {
            Some(Ok(format!("Connected to {}.", word("company").unwrap_or("the company"))))
        }
        Kind::ConnectFailed if !is_open => {
            let code = record.code.clone().map(Value::String);
            let words = code.and_then(|code| serde_json::from_value::<Code>(code).ok());
            let words = words.unwrap_or(Code::CallbackRefused).words();
            Some(Err(anyhow!(
                "{}\nWhat to do: {} From here, run counterfoild connect again. ({})",
                words.message,
                words.next_step,
                words.code
            )))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: Kind, code: Option<&str>, detail: &Value) -> Record {
        let mut record: Record = serde_json::from_value(json!({
            "at": 1, "kind": kind.name(), "code": code, "count": 1, "summary": "", "detail": {},
        }))
        .expect("a record");
        record.detail = detail.as_object().cloned().expect("an object");
        record
    }

    #[test]
    fn an_attempt_ends_with_a_new_connection_or_without_one() {
        let connected = record(Kind::Connected, None, &json!({ "company": "Ada & Co" }));
        for is_open in [true, false] {
            let told = judge(&connected, is_open).expect("over").expect("connected");
            assert_eq!(told, "Connected to Ada & Co.");
        }
        let denied = record(Kind::ConnectFailed, Some("callback_denied"), &json!({}));
        let told = judge(&denied, false).expect("over").expect_err("denied").to_string();
        assert!(told.starts_with("The request was not approved.\nWhat to do: Press"), "{told}");
        assert!(told.ends_with("counterfoild connect again. (callback_denied)"), "{told}");
        assert!(judge(&denied, true).is_none(), "somebody else's attempt");
        assert!(judge(&record(Kind::Renewed, None, &json!({})), false).is_none());
        let unknown = record(Kind::ConnectFailed, Some("of_tomorrow"), &json!({}));
        assert!(judge(&unknown, false).expect("over").is_err());
    }

    #[test]
    fn the_address_is_told_with_its_own_time() {
        let answer =
            json!({ "authorization_url": "https://pay.example/a", "expires_at": 1_800_000_300 });
        let told = asked(&answer, UnixTime(1_800_000_000), &Moments::new(true));
        assert_eq!(
            told,
            "Open this address in a browser before it ends, in 5 min (2027-01-15 08:05:00Z), choose the company and \
             approve:\n\nhttps://pay.example/a\n"
        );
    }
}
