//! What is for the owner alone: everything below `/v1/admin/`.

use hyper::{Request, StatusCode, body::Incoming};
use serde::{Deserialize, Serialize};

use super::{
    App, Response,
    control::{self, PATIENCE},
    problem::json,
    routes::{NoBody, control_body},
};
use crate::{
    events, log,
    reload::Reloaded,
    session::{Done, Event, Leftover, State},
    situation::Told,
    trouble::{Code, Trouble},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdoptBody {
    /// The home of a site that called; without it, this place is meant.
    site: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogBody {
    level: Option<log::Level>,
    for_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeparateBody {
    /// Also where nothing says that this is a copy.
    #[serde(default)]
    abandon: bool,
}

/// How it is after a decision.
#[derive(Serialize)]
struct Decided {
    state: State,
    summary: String,
    next_step: String,
    /// What stands at the platform and is not known here any more.
    leftover: Option<Leftover>,
}

/// What a reload has done, and how it is after it.
#[derive(Serialize)]
struct AfterReload {
    #[serde(flatten)]
    reloaded: Reloaded,
    state: State,
    summary: String,
    next_step: String,
}

/// `POST /v1/admin/adopt`: this place, and the address in the store's file, are the store's; or a site that called is.
pub(super) async fn adopt(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let AdoptBody { site } = control_body(request).await?;
    let site = site.map(|home| app.strangers.find(&home).ok_or(Trouble::of(Code::SiteUnknown)));
    let site = site.transpose()?;
    let event = site.clone().map_or(Event::AdoptAsked, Event::SiteAdopted);
    match app.ask(event, PATIENCE).await? {
        Some(answered) if matches!(answered.done, Done::Adopted | Done::SiteBound) => {
            if let Some(site) = site {
                app.strangers.forget(&site);
            }
            events::adopted();
            Ok(decided(app, None))
        }
        _ => Err(Trouble::of(Code::Internal)),
    }
}

/// `POST /v1/admin/separate`: this is a store of its own.
pub(super) async fn separate(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let SeparateBody { abandon } = control_body(request).await?;
    let leftover = app.supervisor.separate(abandon).await?;
    Ok(decided(app, leftover))
}

fn decided(app: &App, leftover: Option<Leftover>) -> Response {
    let Told { state, summary, next_step } = control::status_of(app).told();
    let next_step = match leftover {
        Some(_) => control::REVOKE_THERE.to_owned(),
        None => next_step,
    };
    json(StatusCode::OK, &Decided { state, summary, next_step, leftover })
}

/// `POST /v1/admin/reload`: reads the store's file again.
pub(super) async fn reload(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let NoBody {} = control_body(request).await?;
    match app.supervisor.reload().await {
        Ok(reloaded) => {
            control::look_at_key(app).await;
            let Told { state, summary, next_step } = control::status_of(app).told();
            let told = AfterReload { reloaded, state, summary, next_step };
            Ok(json(StatusCode::OK, &told))
        }
        Err(error) => {
            let said = format!("The store's file is not taken over: {error}.");
            Err(Trouble::new(Code::ConfigRefused, said))
        }
    }
}

/// `POST /v1/admin/log`: changes the level of the log, or without one says what it is.
pub(super) async fn log(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    /// A day: nobody's debug log fills the disk.
    const LONGEST: u32 = 86_400;
    let LogBody { level, for_seconds } = control_body(request).await?;
    let refuse = |what: &str| {
        let said = format!("The request is not understood: {what}.");
        Err(Trouble::new(Code::BodyMalformed, said))
    };
    match (level, for_seconds) {
        (None, Some(_)) => refuse("for_seconds has no effect without level"),
        (_, Some(seconds)) if !(1..=LONGEST).contains(&seconds) => {
            refuse("for_seconds is 1 to 86400")
        }
        (None, None) => Ok(json(StatusCode::OK, &log::report())),
        (Some(level), seconds) => {
            let report = log::change(level, seconds, &*app.clock);
            events::log_level_changed(report);
            Ok(json(StatusCode::OK, &report))
        }
    }
}
