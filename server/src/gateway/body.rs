//! Bodies on their way through, each bounded: a request's by its length, an answer's by length and time.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{BoxError, body::Body as Given};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::{Sleep, sleep},
};

/// A body as it goes to an upstream.
pub type Outgoing = UnsyncBoxBody<Bytes, BoxError>;

/// What became of a request's body that did not arrive whole.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BodyFault {
    /// It broke off, or was too slow.
    #[error("the body broke off: {0}")]
    Broken(Arc<BoxError>),
    /// It is longer than the upstream takes.
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
}

/// A request's body.
pub enum Received {
    /// All of it.
    Whole(Bytes),
    /// Its beginning, and what follows.
    Streamed(Streamed),
}

/// A body that is passed on while it arrives.
pub struct Streamed {
    begun: Option<Bytes>,
    rest: Given,
    /// How many more bytes may follow.
    room: usize,
    limit: usize,
    fault: Arc<OnceLock<BodyFault>>,
    /// Dropped with the body, when it was sent or given up.
    sending: Option<oneshot::Sender<()>>,
}

/// How a streamed body fares.
pub struct Fate {
    /// Why it did not arrive whole.
    pub fault: Arc<OnceLock<BodyFault>>,
    /// Ends when it was sent.
    pub sent: oneshot::Receiver<()>,
}

impl Received {
    /// Reads a body whole if it has at most `whole` bytes; of a longer one, which has at most `limit`, the beginning.
    pub async fn read(mut body: Given, whole: usize, limit: usize) -> Result<Self, BodyFault> {
        if body.size_hint().lower() > limit as u64 {
            return Err(BodyFault::TooLong(limit));
        }
        let mut begun = BytesMut::new();
        while begun.len() <= whole {
            let Some(frame) = body.frame().await else { return Ok(Self::Whole(begun.freeze())) };
            let frame = frame.map_err(|error| BodyFault::Broken(Arc::new(error.into())))?;
            if let Ok(data) = frame.into_data() {
                begun.extend_from_slice(&data);
            }
        }
        let room = limit.checked_sub(begun.len()).ok_or(BodyFault::TooLong(limit))?;
        Ok(Self::Streamed(Streamed {
            begun: Some(begun.freeze()),
            rest: body,
            room,
            limit,
            fault: Arc::default(),
            sending: None,
        }))
    }

    /// The body if it is here whole.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Streamed(_) => None,
        }
    }

    /// The body as it is sent, and how it fares if that takes a while.
    pub fn outgoing(self) -> (Outgoing, Option<Fate>) {
        match self {
            Self::Whole(bytes) => (whole(bytes), None),
            Self::Streamed(mut streamed) => {
                let (sending, sent) = oneshot::channel();
                streamed.sending = Some(sending);
                let fate = Fate { fault: Arc::clone(&streamed.fault), sent };
                (streamed.boxed_unsync(), Some(fate))
            }
        }
    }
}

/// A body that is here whole, as it is sent.
pub fn whole(bytes: Bytes) -> Outgoing {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(begun) = self.begun.take() {
            return Poll::Ready(Some(Ok(Frame::data(begun))));
        }
        loop {
            let frame = ready!(Pin::new(&mut self.rest).poll_frame(context));
            let fault = match frame.map(|frame| frame.map(Frame::into_data)) {
                None => {
                    self.sending = None;
                    return Poll::Ready(None);
                }
                // Trailers end here.
                Some(Ok(Err(_))) => continue,
                Some(Ok(Ok(data))) => match self.room.checked_sub(data.len()) {
                    Some(room) => {
                        self.room = room;
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    None => BodyFault::TooLong(self.limit),
                },
                Some(Err(error)) => BodyFault::Broken(Arc::new(error.into())),
            };
            let error = fault.to_string();
            let _ = self.fault.set(fault);
            return Poll::Ready(Some(Err(error.into())));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.begun.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let begun = self.begun.as_ref().map_or(0, |begun| begun.len() as u64);
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + begun);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + begun);
        }
        hint
    }
}

/// An answer's body: broken off when it is too long, pauses too long or takes too long. Its place among the upstream's
/// connections is free when it is dropped.
pub struct Bounded {
    pub(super) body: Incoming,
    /// How many more bytes may follow.
    pub(super) room: u64,
    pub(super) pause: Duration,
    /// Runs while nothing arrives.
    pub(super) waiting: Option<Pin<Box<Sleep>>>,
    /// Ends when all of it must be through.
    pub(super) end: Pin<Box<Sleep>>,
    pub(super) _slot: [OwnedSemaphorePermit; 2],
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let broken = |why: &'static str| Poll::Ready(Some(Err(why.into())));
        loop {
            if self.end.as_mut().poll(context).is_ready() {
                return broken("the answer took too long");
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                let pause = self.pause;
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(pause)));
                ready!(waiting.as_mut().poll(context));
                return broken("the answer paused for too long");
            };
            self.waiting = None;
            let data = match frame {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    // Trailers end here.
                    Err(_) => continue,
                },
            };
            match self.room.checked_sub(data.len() as u64) {
                Some(room) => self.room = room,
                None => return broken("the answer is too long"),
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
