//! Asks a store's own address who it is, before a merchant is asked: fetched once for all who wait, and kept.
//!
//! Anybody can register under any address. So what is asked, how often and for how long is bounded here, and the call
//! goes through `outbound`, which reaches the public Internet alone and follows no redirect.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use counterfoil_protocol::{jwk::Thumbprint, ownership::Ownership};
use hyper::{HeaderMap, Method};
use tokio::{sync::watch, time::timeout};

use crate::{
    app::App,
    events,
    oauth::{
        client::Client,
        consent,
        installation::Slot,
        ownership::{Checked, MAX_ANSWER, Rule, Verdict, judge, question},
    },
    outbound::{OutboundError, Request},
    store::{Result, Store},
};

/// How long a person waits for a verdict.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a store has for all its answers.
const CHECK_TIME: Duration = Duration::from_secs(10);

/// The most checks under way. Whoever comes then is not asked.
const MAX_UNDER_WAY: usize = 256;

/// What is asked: an installation's address and key, as one request speaks for them.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Subject {
    platform: String,
    client_id: String,
    site_url: String,
    key: [u8; 32],
}

/// The checks under way. The verdict is sent to all who wait, after it was kept.
#[derive(Default)]
pub struct Checks(Mutex<HashMap<Subject, watch::Receiver<Option<Verdict>>>>);

impl Checks {
    fn under_way(&self) -> MutexGuard<'_, HashMap<Subject, watch::Receiver<Option<Verdict>>>> {
        // The map is whole at every moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of whose store it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known {
    /// The profile's rule.
    pub rule: Rule,
    /// What came of asking.
    pub verdict: Verdict,
}

impl Known {
    /// Whether the store answered.
    #[must_use]
    pub fn is_verified(self) -> bool {
        self.verdict == Verdict::Verified
    }

    /// Whether nobody may approve.
    #[must_use]
    pub fn forbids(self) -> bool {
        self.rule == Rule::Required && !self.is_verified()
    }
}

/// Begins to ask, where nothing that counts is known; nobody waits for it.
pub async fn begin(
    app: &Arc<App>,
    client: &Client,
    key: &Thumbprint,
    callback: &str,
) -> Result<()> {
    let slot = client.installation().and_then(|it| it.slot(key, callback, app.now()));
    if let Some((_, subject)) = slot.and_then(|slot| subject(app, client, slot))
        && kept(app, &subject).await?.is_none()
    {
        drop(start(app, subject));
    }
    Ok(())
}

/// What is known of the store that a request speaks for, after asking if need be; `None` where nobody asks.
pub async fn known(app: &Arc<App>, client: &Client, slot: Slot) -> Result<Option<Known>> {
    let Some((rule, subject)) = subject(app, client, slot) else { return Ok(None) };
    if let Some(verdict) = kept(app, &subject).await? {
        return Ok(Some(Known { rule, verdict }));
    }
    let mut verdict = start(app, subject);
    // A sender that is gone said nothing: the check broke off.
    let said = timeout(PATIENCE, verdict.wait_for(Option::is_some)).await;
    let verdict = said.ok().and_then(|said| said.ok().and_then(|said| *said));
    Ok(Some(Known { rule, verdict: verdict.unwrap_or(Verdict::Slow) }))
}

/// Judged again when a person approves: why nobody may, where the profile requires that the address is verified.
pub async fn forbids(app: &Arc<App>, client: &Client, slot: Slot) -> Result<Option<Verdict>> {
    let required = subject(app, client, slot).is_some_and(|(rule, _)| rule == Rule::Required);
    let known = if required { known(app, client, slot).await? } else { None };
    Ok(known.filter(|known| known.forbids()).map(|known| known.verdict))
}

/// The newest verdict on an installation's address and key, if there is one.
pub async fn newest(store: &(impl Store + ?Sized), client: &Client) -> Result<Option<Checked>> {
    let Some(installation) = client.installation() else { return Ok(None) };
    let Some(key) = installation.key else { return Ok(None) };
    let checked = store.ownership(&client.id).await?;
    Ok(checked.filter(|it| it.is_of(&installation.site_url, &key)))
}

fn subject(app: &App, client: &Client, slot: Slot) -> Option<(Rule, Subject)> {
    let installation = client.installation()?;
    let rule = app.profiles.get(&installation.platform)?.ownership;
    let key = match slot {
        Slot::Current => installation.key?,
        Slot::Staged => installation.staged_at(app.now())?.key,
    };
    let site_url = consent::site_url(client, slot, app.now())?.to_owned();
    let (platform, client_id) = (installation.platform.clone(), client.id.clone());
    let subject = Subject { platform, client_id, site_url, key: key.0 };
    (rule != Rule::Off).then_some((rule, subject))
}

async fn kept(app: &App, subject: &Subject) -> Result<Option<Verdict>> {
    let checked = app.store.ownership(&subject.client_id).await?;
    let of_this = |it: &Checked| it.is_of(&subject.site_url, &Thumbprint(subject.key));
    Ok(checked.filter(|it| of_this(it) && it.counts(app.now())).map(|it| it.verdict))
}

/// Joins the check of this subject, or starts one.
fn start(app: &Arc<App>, subject: Subject) -> watch::Receiver<Option<Verdict>> {
    let mut under_way = app.ownership.under_way();
    // Whose sender is gone broke off.
    let running = under_way.get(&subject).filter(|it| it.has_changed().is_ok());
    if let Some(verdict) = running {
        return verdict.clone();
    }
    let limited = under_way.len() >= MAX_UNDER_WAY
        || app.limits.check_ownership(&subject.client_id, &subject.site_url).is_err();
    let (sender, verdict) = watch::channel(limited.then_some(Verdict::Limited));
    if !limited {
        under_way.insert(subject.clone(), verdict.clone());
        let app = Arc::clone(app);
        tokio::spawn(async move {
            let said = timeout(CHECK_TIME, ask(&app, &subject)).await.unwrap_or(Verdict::Slow);
            keep(&app, &subject, said).await;
            app.ownership.under_way().remove(&subject);
            sender.send_replace(Some(said));
        });
    }
    verdict
}

async fn keep(app: &App, subject: &Subject, verdict: Verdict) {
    events::ownership_checked(&subject.client_id, &subject.site_url, verdict.word());
    let Subject { client_id, site_url, key, .. } = subject.clone();
    let checked = Checked { client_id, site_url, key: Thumbprint(key), verdict, at: app.now() };
    if let Err(error) = app.store.note_ownership(checked).await {
        // Whoever waits is told all the same; the next one asks again.
        tracing::warn!(%error, "a store's ownership cannot be kept");
    }
}

/// Asks at the paths of the profile, one after the other, until one of them knows the question.
async fn ask(app: &App, subject: &Subject) -> Verdict {
    let profile = app.profiles.get(&subject.platform);
    let mut verdict = Verdict::NoAnswer;
    for path in profile.into_iter().flat_map(|profile| &profile.challenge_paths) {
        verdict = ask_at(app, subject, path).await;
        if !verdict.is_about_the_path() {
            break;
        }
    }
    verdict
}

async fn ask_at(app: &App, subject: &Subject, path: &str) -> Verdict {
    let Subject { client_id, site_url, key, .. } = subject;
    let nonce = app.entropy.secret("");
    let expected = Ownership { issuer: &app.config.issuer, client_id, site_url, nonce: &nonce };
    let request = Request {
        method: Method::GET,
        url: question(path, &expected),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        keep: MAX_ANSWER,
        status_suffices: false,
    };
    match app.outbound.send(request).await {
        Ok(answer) => {
            let said = (answer.status.as_u16(), answer.body.as_slice(), answer.truncated);
            judge(said, &expected, &Thumbprint(*key), app.now())
        }
        Err(OutboundError::Url(_) | OutboundError::Forbidden(_)) => Verdict::Private,
        Err(OutboundError::ConnectTimeout | OutboundError::AnswerTimeout) => Verdict::Slow,
        Err(OutboundError::Busy) => Verdict::Limited,
        Err(_) => Verdict::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_it_is_required_is_anybody_kept_from_approving() {
        for verdict in Verdict::ALL {
            let verified = verdict == Verdict::Verified;
            for (rule, forbids) in
                [(Rule::Off, false), (Rule::Optional, false), (Rule::Required, !verified)]
            {
                let known = Known { rule, verdict };
                assert_eq!(
                    (known.forbids(), known.is_verified()),
                    (forbids, verified),
                    "{known:?}"
                );
            }
        }
    }
}
