//! `GET /v1/events`: the state now, and again whenever it changes, as server-sent events.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::Frame,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use serde_json::json;
use tokio::sync::watch;

use super::{App, Response, stopped};
use crate::{
    clock::{Clock, Entropy},
    session::{Session, State},
    situation::{Life, Situations},
    trouble::Trouble,
};

/// How often a line is sent that means nothing, so that a dead connection is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What one listener follows.
struct Listener {
    situations: Situations,
    session: Option<watch::Receiver<Arc<Session>>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    stopping: watch::Receiver<bool>,
    /// The last frame, so that nothing is said twice.
    told: Option<String>,
}

/// Follows the state until the caller goes away or the daemon ends.
pub(super) fn follow(app: &App) -> Result<Response, Trouble> {
    app.situation().working()?;
    let listener = Listener {
        situations: app.situations.clone(),
        session: None,
        clock: app.clock.clone(),
        entropy: app.entropy.clone(),
        stopping: app.stopping.clone(),
        told: None,
    };
    let frames = stream::unfold(listener, |mut listener| async move {
        let frame = listener.next().await?;
        Some((Ok(Frame::data(frame)), listener))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Listener {
    /// The next frame; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let now = self.describe();
            if self.told.as_ref() != Some(&now) {
                self.told = Some(now.clone());
                return Some(Bytes::from(now));
            }
            match tokio::time::timeout(KEEP_ALIVE, self.changed()).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }

    /// Waits for anything new; `false` at the end.
    async fn changed(&mut self) -> bool {
        let session = async {
            let changed = match &mut self.session {
                Some(session) => session.changed().await.is_ok(),
                None => false,
            };
            // Where the actor has ended, the next situation says what follows.
            if !changed {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stopped(self.stopping.clone()) => false,
            changed = self.situations.changed() => changed.is_ok(),
            () = session => true,
        }
    }

    fn describe(&mut self) -> String {
        let situation = Arc::clone(&self.situations.borrow_and_update());
        let (state, summary, next_step) = match &situation.life {
            Life::Working(working) => {
                let session = self.session.insert(working.actor.watch());
                let session = Arc::clone(&session.borrow_and_update());
                let cx = situation.context(&*self.clock, &*self.entropy);
                let state = session.state(&cx);
                let (summary, next_step) = session.words(state, &cx);
                (state, summary, next_step)
            }
            Life::Degraded { why, next_step } => {
                self.session = None;
                let summary = format!("The daemon cannot work: {why}.");
                (State::Degraded, summary, (*next_step).to_owned())
            }
        };
        let data = json!({ "state": state, "summary": summary, "next_step": next_step });
        format!("event: state\ndata: {data}\n\n")
    }
}
