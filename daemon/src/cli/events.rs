//! `counterfoild events`.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use counterfoil_protocol::UnixTime;
use jiff::{Span, Timestamp, tz::TimeZone};

use super::{
    Where,
    admin::{Admin, Unhelped, block_on},
    paint::{Colour, Paint},
    say, say_json,
};
use crate::{
    clock::{Clock as _, System},
    history::{self, Kind, Query, Record},
    moment::Moments,
};

#[derive(Args, Debug)]
pub(super) struct Events {
    #[command(flatten)]
    place: Where,
    /// Only what happened since: 90m, 2h, 3d, or a time such as 2026-03-01T12:00
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only these kinds, such as `renewal_failed`; may be given several times
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: usize,
    /// Go on with what happens from now on, each call by itself
    #[arg(long)]
    follow: bool,
    /// Times of UTC instead of this machine's time zone
    #[arg(long)]
    utc: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

impl Events {
    pub(super) fn main(self) -> Result<ExitCode> {
        let query = Query {
            since: self.since.as_deref().map(|text| since(text, System.now())).transpose()?,
            kinds: self.kind.iter().map(|name| kind(name)).collect::<Result<_>>()?,
            limit: self.limit,
        };
        block_on(async {
            let found = self.place.find()?;
            let (admin, places) = (Admin::briefly(&found)?, &found.places);
            // The stream is opened first, so that nothing falls between it and the past.
            let live = if self.follow {
                let path = format!("/v1/admin/events?follow=true&{}", query_string(&query));
                Some(admin.follow(&path).await?)
            } else {
                None
            };
            let past = past(&admin, &places.state_dir.join(history::FILE), &query).await?;
            let teller = Teller::new(self.utc, self.json);
            for record in &past {
                teller.tell(record)?;
            }
            match live {
                Some(live) => teller.tell_as_it_comes(live, &past).await?,
                None if past.is_empty() && !self.json => say("Nothing is recorded."),
                None => {}
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// What is recorded. Without a daemon, the file itself can be read by whoever may read the state.
async fn past(admin: &Admin, file: &Path, query: &Query) -> Result<Vec<Record>> {
    match admin.text(&format!("/v1/admin/events?{}", query_string(query))).await {
        // What a newer daemon knows and this program does not is left out.
        Ok(text) => Ok(text.lines().filter_map(|it| serde_json::from_str(it).ok()).collect()),
        Err(Unhelped::Silent(silence)) => {
            history::read(file, query).map_err(|_| Unhelped::Silent(silence).into())
        }
        Err(refused) => Err(refused.into()),
    }
}

fn query_string(query: &Query) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.append_pair("limit", &query.limit.to_string());
    if let Some(since) = query.since {
        text.append_pair("since", &since.0.to_string());
    }
    for kind in &query.kinds {
        text.append_pair("kind", kind.name());
    }
    text.finish()
}

/// Says records, each on its line.
struct Teller {
    moments: Moments,
    paint: Paint,
    json: bool,
}

impl Teller {
    fn new(utc: bool, json: bool) -> Self {
        Self { moments: Moments::new(utc), paint: Paint::for_stdout(), json }
    }

    fn tell(&self, record: &Record) -> Result<()> {
        if self.json {
            say_json(&serde_json::to_string(record)?);
        } else {
            say(&self.line(record));
        }
        Ok(())
    }

    fn line(&self, record: &Record) -> String {
        let times = if record.count > 1 { format!(" (×{})", record.count) } else { String::new() };
        let name = format!("{:<22}", record.kind.name());
        format!(
            "{}  {}  {}{times}",
            self.moments.exact(record.at),
            self.paint.with(colour(record.kind), &name),
            record.summary
        )
    }

    async fn tell_as_it_comes(&self, mut live: reqwest::Response, past: &[Record]) -> Result<()> {
        let mut unread = Vec::new();
        while let Some(chunk) = live.chunk().await.map_err(|_| ended())? {
            unread.extend_from_slice(&chunk);
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let whole: Vec<u8> = unread.drain(..=end).collect();
                let record = serde_json::from_slice::<Record>(&whole).ok();
                if let Some(record) = record.filter(|record| !past.contains(record)) {
                    self.tell(&record)?;
                }
            }
        }
        Err(ended())
    }
}

/// What the connection's own error would say in terms of bytes.
fn ended() -> anyhow::Error {
    anyhow::anyhow!(
        "the daemon ended\nWhat to do: look with counterfoild status; what it said last is in: journalctl -u counterfoild -n 50"
    )
}

fn colour(kind: Kind) -> Colour {
    match kind {
        Kind::ConnectionLost
        | Kind::Degraded
        | Kind::RecoveryRefused
        | Kind::ReloadFailed
        | Kind::SafeMode
        | Kind::StorageFailed => Colour::Red,
        Kind::ClockLearned
        | Kind::ConnectFailed
        | Kind::DisconnectUnconfirmed
        | Kind::HistoryBegunAnew
        | Kind::Refused
        | Kind::RenewalFailed
        | Kind::ServerUnreachable => Colour::Yellow,
        Kind::Connected | Kind::Recovered | Kind::Renewed | Kind::ServerReachable => Colour::Green,
        _ => Colour::Plain,
    }
}

fn kind(name: &str) -> Result<Kind> {
    Kind::named(name).with_context(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("there is no kind {name:?}; the kinds are: {}", names.join(" "))
    })
}

/// A time, or how long ago.
fn since(text: &str, now: UnixTime) -> Result<UnixTime> {
    let wrong = || {
        anyhow!(
            "--since {text:?} is no time; say how long ago, such as 90m, 2h or 3d, or when, such as 2026-03-01T12:00"
        )
    };
    if let Ok(span) = text.parse::<Span>() {
        let days = span.total(jiff::SpanTotal::from(jiff::Unit::Second).days_are_24_hours());
        let seconds = days.map_err(|_| wrong())?;
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds are meant")]
        return Ok(now + -(seconds.abs() as i64));
    }
    let at = text.parse::<Timestamp>().or_else(|_| {
        let local = text.parse::<jiff::civil::DateTime>()?.to_zoned(TimeZone::system())?;
        Ok::<_, jiff::Error>(local.timestamp())
    });
    at.map(|at| UnixTime(at.as_second())).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let now = UnixTime(1_800_000_000);
        for (text, seconds) in
            [("90m", 5_400), ("2h", 7_200), ("3d", 259_200), ("1w", 604_800), ("45s", 45)]
        {
            assert_eq!(since(text, now).expect(text), now + -seconds, "{text}");
        }
        assert_eq!(since("2027-01-15T08:00:00Z", now).expect("a time"), now);
        assert!(since("2027-01-15", now).is_ok());
        for wrong in ["", "yesterday", "2x", "-"] {
            let told = format!("{:#}", since(wrong, now).expect_err("no time"));
            let says = format!("--since {wrong:?} is no time; say how long ago, such as ");
            assert!(told.starts_with(&says) && told.ends_with("2026-03-01T12:00"), "{told}");
        }
    }

    #[test]
    fn a_query_is_written_as_the_daemon_reads_it() {
        let query =
            Query { since: Some(UnixTime(5)), kinds: vec![Kind::Renewed, Kind::Refused], limit: 7 };
        assert_eq!(query_string(&query), "limit=7&since=5&kind=renewed&kind=refused");
    }
}
