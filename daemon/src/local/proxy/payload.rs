//! What a plugin sends along: kept whole while it is small, passed on as it comes when it is not.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    sync::Notify,
    time::{Sleep, sleep, timeout},
};

use crate::trouble::{Code, Trouble};

/// Up to here a body is kept, so that it can be sent once more, in bytes.
pub(super) const KEPT: usize = 64 * 1_024;

/// How long a caller may be silent in the middle of a body.
const SILENCE: Duration = Duration::from_secs(30);

/// A request's body.
pub(super) enum Payload {
    /// All of it: it can be sent as often as it takes.
    Whole(Bytes),
    /// Its beginning, and the rest while it comes: it can be sent once.
    Streamed(Box<Streamed>),
}

/// A body on its way through.
pub(super) struct Streamed {
    first: VecDeque<Bytes>,
    rest: Incoming,
    /// Bytes that may still come.
    left: u64,
    /// The whole length, where the caller said it.
    length: Option<u64>,
    silence: Pin<Box<Sleep>>,
    fate: Arc<Fate>,
}

/// What became of a streamed body; known to whoever waits for the answer to it.
#[derive(Debug, Default)]
pub(super) struct Fate {
    flaw: AtomicU8,
    ended: Notify,
}

/// Why a body is not passed on to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Flaw {
    /// It did not come to its end, or too slowly.
    BrokenOff = 1,
    /// It is longer than allowed.
    TooLong = 2,
}

impl Payload {
    /// Reads the body until its end or until it is too long to keep. `limit` is the longest one accepted, in bytes.
    pub(super) async fn receive(mut body: Incoming, limit: u64) -> Result<Self, Trouble> {
        let length = body.size_hint().exact();
        if length.is_some_and(|length| length > limit) {
            return Err(Trouble::of(Code::BodyTooLarge));
        }
        let (mut first, mut size) = (VecDeque::new(), 0);
        while size <= KEPT {
            let frame = timeout(SILENCE, body.frame()).await.map_err(|_| Flaw::BrokenOff.told())?;
            let Some(frame) = frame else { return Ok(Self::Whole(joined(first, size))) };
            let frame = frame.map_err(|_| Flaw::BrokenOff.told())?;
            // Trailers belong to the connection that they came over.
            if let Ok(data) = frame.into_data() {
                size += data.len();
                first.push_back(data);
            }
        }
        let left = limit.checked_sub(size as u64).ok_or(Flaw::TooLong.told())?;
        Ok(Self::Streamed(Box::new(Streamed {
            first,
            rest: body,
            left,
            length,
            silence: Box::pin(sleep(SILENCE)),
            fate: Arc::default(),
        })))
    }
}

impl Streamed {
    /// How to learn what became of it after it was given away.
    pub(super) fn fate(&self) -> Arc<Fate> {
        Arc::clone(&self.fate)
    }

    fn give_up(&self, flaw: Flaw) -> Poll<Option<Result<Frame<Bytes>, Flaw>>> {
        self.fate.flaw.store(flaw as u8, Ordering::Relaxed);
        Poll::Ready(Some(Err(flaw)))
    }
}

impl Fate {
    /// The trouble, if the body was at fault.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let flaws = [Flaw::BrokenOff, Flaw::TooLong];
        let flaw = self.flaw.load(Ordering::Relaxed);
        flaws.into_iter().find(|known| *known as u8 == flaw).map(Flaw::told)
    }

    /// Waits until nothing more of the body is to be sent.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Flaw;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Flaw>>> {
        if let Some(data) = self.first.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.rest).poll_frame(cx) else {
                ready!(self.silence.as_mut().poll(cx));
                return self.give_up(Flaw::BrokenOff);
            };
            let data = match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return self.give_up(Flaw::BrokenOff),
                Some(Ok(frame)) => frame.into_data(),
            };
            let Ok(data) = data else { continue };
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return self.give_up(Flaw::TooLong);
            };
            self.left = left;
            self.silence.set(sleep(SILENCE));
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => SizeHint::with_exact(length),
            None => SizeHint::default(),
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        self.fate.ended.notify_one();
    }
}

impl Flaw {
    fn told(self) -> Trouble {
        match self {
            Self::BrokenOff => Trouble::of(Code::BodyBrokenOff),
            Self::TooLong => Trouble::of(Code::BodyTooLarge),
        }
    }
}

impl std::error::Error for Flaw {}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BrokenOff => "the caller's body broke off",
            Self::TooLong => "the caller's body is too long",
        })
    }
}

fn joined(mut parts: VecDeque<Bytes>, size: usize) -> Bytes {
    match (parts.pop_front(), parts.is_empty()) {
        (None, _) => Bytes::new(),
        (Some(only), true) => only,
        (Some(first), false) => {
            let mut whole = BytesMut::with_capacity(size);
            whole.extend_from_slice(&first);
            for part in parts {
                whole.extend_from_slice(&part);
            }
            whole.freeze()
        }
    }
}
