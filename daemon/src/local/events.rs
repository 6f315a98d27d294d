//! `GET /v1/events`: the state now, and again whenever it changes, as server-sent events.

use std::time::Duration;

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
    situation::{Follower, Told},
    trouble::Trouble,
};

/// How often a line is sent that means nothing, so that a dead connection is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What one listener follows.
struct Listener {
    follower: Follower,
    stopping: watch::Receiver<bool>,
    /// The last frame, so that nothing is said twice.
    told: Option<String>,
}

/// Follows the state until the caller goes away or the daemon ends.
pub(super) fn follow(app: &App) -> Result<Response, Trouble> {
    app.situation().working()?;
    let listener = Listener {
        follower: Follower::new(app.situations.clone(), app.clock.clone(), app.entropy.clone()),
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
            let end = stopped(self.stopping.clone());
            let changed = async {
                tokio::select! {
                    () = end => false,
                    changed = self.follower.changed() => changed,
                }
            };
            match tokio::time::timeout(KEEP_ALIVE, changed).await {
                Ok(true) => {}
                Ok(false) => return None,
                // What the server is silent about is seen by then at the latest.
                Err(_) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }

    fn describe(&mut self) -> String {
        let Told { state, summary, next_step } = self.follower.describe_for_guests();
        let data = json!({ "state": state, "summary": summary, "next_step": next_step });
        format!("event: state\ndata: {data}\n\n")
    }
}
