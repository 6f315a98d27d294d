//! `counterfoild log`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use counterfoil_protocol::UnixTime;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Where,
    admin::{Admin, block_on},
    say,
};
use crate::{
    clock::{Clock as _, System},
    log::Level,
    moment::Moments,
};

#[derive(Args, Debug)]
pub(super) struct LogCommand {
    #[command(flatten)]
    place: Where,
    /// What is logged from now on; without it, the level is said and not changed
    #[arg(value_enum)]
    level: Option<Level>,
    /// For how long, such as 90s, 10m or 2h; then it is the level of the start again
    #[arg(long = "for", value_name = "TIME", value_parser = seconds, requires = "level")]
    time: Option<u32>,
    /// Print times in UTC
    #[arg(long)]
    utc: bool,
}

impl LogCommand {
    pub(super) fn main(self) -> Result<ExitCode> {
        block_on(async {
            let body = match self.level {
                Some(level) => json!({ "level": level, "for_seconds": self.time }),
                None => json!({}),
            };
            let admin = match self.level {
                Some(_) => Admin::order(&self.place).await?,
                None => Admin::find(&self.place)?,
            };
            let answer = admin.ask(Method::POST, "/v1/admin/log", Some(body)).await?;
            let level = answer.get("level").and_then(Value::as_str).context("no level")?;
            let until = answer.get("until").and_then(Value::as_i64).map(UnixTime);
            say(&match until {
                Some(until) => {
                    let when = Moments::new(self.utc).both(until, System.now());
                    format!("The log's level is {level}; that ends {when}.")
                }
                None => format!("The log's level is {level}."),
            });
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Seconds from `90s`, `10m` or `2h`; a day at most, so that nobody's debug log fills the disk.
fn seconds(text: &str) -> Result<u32, &'static str> {
    const WRONG: &str = "a time such as 90s, 10m or 2h, a day at most";
    const DAY: u32 = 86_400;
    let unit = text.chars().last().ok_or(WRONG)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return Err(WRONG),
    };
    let number: u32 = text.trim_end_matches(unit).parse().map_err(|_| WRONG)?;
    let seconds = number.checked_mul(factor).ok_or(WRONG)?;
    if (1..=DAY).contains(&seconds) { Ok(seconds) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_an_end() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("10m", Some(600)),
            ("24h", Some(86_400)),
            ("25h", None),
            ("0s", None),
            ("10", None),
            ("m", None),
            ("", None),
            ("-5m", None),
            ("99999999h", None),
        ] {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
    }
}
