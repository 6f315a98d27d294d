//! Which site calls: the one that the connection was made for, or a stranger such as its staging copy.
//!
//! The judgement is about one caller. The daemon goes on serving the site that is bound, and nothing is sent for
//! the other: it may ask for status, which says why and what can be done.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use counterfoil_protocol::UnixTime;
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;

use super::{App, Response, control::PATIENCE, problem::json, rights::Verb};
use crate::{
    evidence::Evidence,
    session::{Choice, Event, SafeMode, State, Status},
    site::Site,
    situation::Situation,
    trouble::{Code, Trouble},
};

/// The header by which a plugin says which site it runs in.
const HEADER: &str = "counterfoil-site";

/// Strangers that are remembered.
const MAX_STRANGERS: usize = 8;

/// The strangers that called since the start, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<VecDeque<Stranger>>);

/// A site that called and is not the one that is bound.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Stranger {
    #[serde(flatten)]
    site: Site,
    /// When it called last.
    seen_at: UnixTime,
}

impl Strangers {
    /// Everyone remembered, the newest first.
    pub(super) fn list(&self) -> Vec<Stranger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// The one whose home is `home`, or who says `home` of itself word by word; the newest, where there are several.
    pub(super) fn find(&self, home: &str) -> Option<Site> {
        let whole = Site::parse(home);
        let called = |site: &Site| Some(site) == whole.as_ref() || site.is_at(home);
        self.list().into_iter().map(|stranger| stranger.site).find(called)
    }

    /// It is no stranger any more.
    pub(super) fn forget(&self, site: &Site) {
        let mut strangers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.retain(|stranger| stranger.site != *site);
    }

    fn note(&self, site: Site, seen_at: UnixTime) {
        let mut strangers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = strangers.len();
        strangers.retain(|stranger| stranger.site != site);
        if strangers.len() == before {
            tracing::warn!(%site, "a site calls that the connection was not made for");
        }
        if strangers.len() == MAX_STRANGERS {
            strangers.pop_front();
        }
        strangers.push_back(Stranger { site, seen_at });
    }
}

/// The site that a request names; `None` if it names none, as those of other platforms.
pub(super) fn named(headers: &HeaderMap) -> Result<Option<Site>, Trouble> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let site = value.to_str().ok().and_then(Site::parse).filter(|_| values.next().is_none());
    site.map(Some).ok_or_else(|| Trouble::of(Code::SiteHeaderMalformed))
}

/// Judges who calls. An answer is a stranger's: nothing else is done for it.
pub(super) async fn judge(
    app: &App,
    verb: Verb,
    headers: &HeaderMap,
) -> Result<Option<Response>, Trouble> {
    let Some(site) = named(headers)?.filter(|_| verb != Verb::Health) else { return Ok(None) };
    let situation = app.situation();
    let Ok(working) = situation.working() else { return Ok(None) };
    let session = working.actor.session();
    let evidence = session.what_tells(&site, verb == Verb::Callback, &app.context(&situation));
    if evidence.is_empty() {
        let uses = matches!(
            verb,
            Verb::Api | Verb::Callback | Verb::Disconnect | Verb::Proofs | Verb::WebhookVerify
        );
        if uses && session.binds(&situation.config) {
            app.ask(Event::SiteSeen(site), PATIENCE).await?;
        }
        return Ok(None);
    }
    let answer = if verb == Verb::Status {
        let status = status_for_a_stranger(&site, &evidence, &situation);
        Ok(Some(json(StatusCode::OK, &status)))
    } else {
        Err(refusal(&evidence))
    };
    app.strangers.note(site, app.clock.now());
    answer
}

/// Binds the site whose callback has just made the connection, where the beginning of it named none.
pub(super) async fn connected(app: &App, site: Option<Site>) {
    let situation = app.situation();
    if let (Some(site), Ok(working)) = (site, situation.working())
        && working.actor.session().binds(&situation.config)
    {
        // What the merchant did is done. If this is not, the next call does it.
        let _ = app.ask(Event::SiteSeen(site), PATIENCE).await;
    }
}

fn refusal(evidence: &[Evidence]) -> Trouble {
    let message = Code::SiteMismatch.words().message;
    let signs: String = evidence.iter().fold(String::new(), |told, it| told + " " + &it.sentence());
    Trouble::new(Code::SiteMismatch, format!("{message}{signs}"))
}

fn status_for_a_stranger(site: &Site, evidence: &[Evidence], situation: &Situation) -> Status {
    let trouble = refusal(evidence);
    let only_path = matches!(evidence, [Evidence::OtherPath { .. }]);
    let session = situation.working().ok().map(|working| working.actor.session());
    let command = session.map(|session| session.command(&format!("adopt --site {}", site.home)));
    let moved = if only_path {
        "The site moved to this directory. Where each release has a directory of its own, set check_path = false below [site] in the store's file instead."
    } else {
        "The store moved to this site, and the former one is gone: the connection goes on with this one."
    };
    let choices = vec![
        Choice { name: "adopt", message: moved.to_owned(), command },
        Choice {
            name: "separate",
            message: "This is a store of its own, such as a staging copy: give it a daemon of its own, with its own store's file, state directory and socket, and connect it there.".to_owned(),
            command: None,
        },
        Choice {
            name: "leave",
            message: "Leave it: this site cannot use the connection, and the original goes on.".to_owned(),
            command: None,
        },
    ];
    Status {
        summary: trouble.message,
        next_step: Code::SiteMismatch.words().next_step.to_owned(),
        safe_mode: Some(SafeMode::new(evidence, choices)),
        ..Status::bare(State::SafeMode, &situation.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(number: usize) -> Site {
        Site::parse(&format!("https://staging-{number}.example; 1; /srv")).expect("a site")
    }

    #[test]
    fn the_last_strangers_are_remembered_each_once() {
        let strangers = Strangers::default();
        for number in 0..20 {
            strangers.note(site(number), UnixTime(1));
        }
        strangers.note(site(15), UnixTime(2));
        let list = strangers.list();
        assert_eq!(list.len(), MAX_STRANGERS);
        assert_eq!((&list[0].site, list[0].seen_at), (&site(15), UnixTime(2)));
        assert_eq!(list[1].site, site(19));
        assert_eq!(strangers.find("http://STAGING-14.example/"), Some(site(14)));
        assert_eq!(strangers.find("https://staging-14.example; 1; /srv"), Some(site(14)));
        assert_eq!(strangers.find("https://staging-3.example"), None);
        assert_eq!(strangers.find("staging-14.example"), None);
        strangers.forget(&site(14));
        assert_eq!(strangers.find("https://staging-14.example"), None);
    }

    #[test]
    fn one_header_well_formed_or_none() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, value.parse().expect("a value"));
            }
            headers
        };
        assert_eq!(named(&headers(&[])), Ok(None));
        let good = "https://staging-1.example; 1; /srv";
        assert_eq!(named(&headers(&[good])), Ok(Some(site(1))));
        for bad in [&["x"][..], &[good, good], &[""]] {
            assert_eq!(named(&headers(bad)), Err(Trouble::of(Code::SiteHeaderMalformed)));
        }
    }
}
