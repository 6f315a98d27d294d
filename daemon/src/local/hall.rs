//! Attending to connections: each is judged, served, and ended in time.

use std::{
    convert::Infallible,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_io_timeout::TimeoutWriter;

use super::{
    App, Doors, Response, Visit,
    gate::{Admitted, Gate},
    peer::Peer,
    problem::{OVER_SHARE, outcome, problem},
    rates::{Kind, Rate, Rates, Who},
    rights::{Door, Rules, Verb, may},
    routes,
    turns::{OWNERS, Room, Share, Shares, Turns},
};
use crate::{
    config::Limits,
    events,
    history::Called,
    trouble::{Code, Trouble},
};

/// How long a caller may take for the head of a request, and a kept connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a caller may leave an answer unread when no more of it fits between him and us.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait for a free descriptor, if no connection of ours ends before.
const BREATH: Duration = Duration::from_millis(250);

/// How many challenges a caller may hand over. The server asks once or twice at a connect.
const CHALLENGES: Rate = Rate { per_second: 2, burst: 20 };

/// How long requests under way are given at the end.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `stop` turns true, then lets the requests under way finish.
pub(crate) async fn serve(doors: Doors, app: Arc<App>, stop: watch::Receiver<bool>) {
    let Doors { api, admin, port, owner, .. } = doors;
    let room = Room::within(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX));
    tracing::debug!(connections = room.connections, calls = room.calls, "room for callers");
    let hall = Hall {
        app,
        stop,
        rates: Arc::default(),
        turns: Arc::new(Turns::of(room.calls)),
        shares: Shares::of((room.connections / 2).max(1)),
        freed: Arc::default(),
        complained: AtomicU64::new(0),
    };
    let (guests, owners) = (Places::of(room.connections), Places::of(OWNERS));
    let gate = |door, address| Arc::new(Gate { door, owner, address });
    let (api_gate, admin_gate) = (gate(Door::Api, None), gate(Door::Admin, None));
    let port = async {
        if let Some(listener) = port {
            let address = listener.local_addr().ok().map(|address| address.to_string());
            hall.attend_port(&listener, &guests, &gate(Door::Port, address)).await;
        }
    };
    tokio::join!(
        hall.attend_socket(&api, &guests, &api_gate),
        hall.attend_socket(&admin, &owners, &admin_gate),
        port
    );
    let finished = async { tokio::join!(guests.all_free(), owners.all_free()) };
    let _ = tokio::time::timeout(GRACE, finished).await;
}

/// Where connections are attended to.
struct Hall {
    app: Arc<App>,
    stop: watch::Receiver<bool>,
    rates: Arc<Rates>,
    turns: Arc<Turns>,
    shares: Arc<Shares>,
    /// A connection has ended.
    freed: Arc<Notify>,
    /// When it was last said that nothing can be accepted, in seconds; 0 for never.
    complained: AtomicU64,
}

/// Places for connections. Whoever finds none waits in the kernel's queue.
struct Places {
    free: Arc<Semaphore>,
    all: usize,
}

/// What one connection holds while it lasts.
struct Seat {
    _place: OwnedSemaphorePermit,
    share: Option<Share>,
    freed: Arc<Notify>,
}

impl Places {
    fn of(all: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(all)), all }
    }

    async fn all_free(&self) {
        let all = u32::try_from(self.all).unwrap_or(u32::MAX);
        drop(self.free.acquire_many(all).await);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.freed.notify_waiters();
    }
}

impl Hall {
    async fn attend_socket(&self, listener: &UnixListener, places: &Places, gate: &Arc<Gate>) {
        while let Some((stream, place)) = self.next(places, || listener.accept()).await {
            // Whoever cannot be named is judged as nobody; one bad peer ends only its own connection.
            let peer = Peer::of(&stream).ok();
            let who = peer.as_ref().map_or(Who::Others, |peer| Who::User(peer.uid));
            self.attend(stream, peer, &who, gate, place);
        }
    }

    async fn attend_port(&self, listener: &TcpListener, places: &Places, gate: &Arc<Gate>) {
        while let Some((stream, place)) = self.next(places, || listener.accept()).await {
            let _ = stream.set_nodelay(true);
            // Which plugin it is shows later, if it ever says a word.
            self.attend(stream, None, &Who::Others, gate, place);
        }
    }

    /// The next connection, when there is a place for it; `None` at the end.
    async fn next<S, A, F>(
        &self,
        places: &Places,
        accept: impl Fn() -> F,
    ) -> Option<(S, OwnedSemaphorePermit)>
    where
        F: Future<Output = io::Result<(S, A)>>,
    {
        loop {
            let accepted = async {
                let place = Arc::clone(&places.free).acquire_owned().await.ok()?;
                Some((accept().await, place))
            };
            let (accepted, place) = tokio::select! {
                () = stopped(self.stop.clone()) => return None,
                accepted = accepted => accepted?,
            };
            match accepted {
                Ok((stream, _)) => return Some((stream, place)),
                Err(error) => {
                    // Out of descriptors, mostly: the connection waits in the kernel's queue until some are free.
                    self.complain(&error);
                    let _ = tokio::time::timeout(BREATH, self.freed.notified()).await;
                }
            }
        }
    }

    /// Says that nothing can be accepted, at most once in a minute.
    fn complain(&self, error: &io::Error) {
        let now = self.app.clock.ticks().as_secs() + 1;
        let said = self.complained.swap(now, Ordering::Relaxed);
        if said == 0 || now.saturating_sub(said) >= 60 {
            tracing::warn!(%error, "cannot accept connections; trying on");
        } else {
            self.complained.store(said, Ordering::Relaxed);
        }
    }

    fn attend<S>(
        &self,
        stream: S,
        peer: Option<Peer>,
        who: &Who,
        gate: &Arc<Gate>,
        place: OwnedSemaphorePermit,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let is_owners = gate.door == Door::Admin;
        let share = if is_owners { None } else { self.shares.take(who.clone()) };
        let seat = Seat { _place: place, share, freed: Arc::clone(&self.freed) };
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(PATIENCE));
        if seat.share.is_none() && !is_owners {
            tracing::debug!(?who, "more connections than one caller may have");
            tokio::spawn(async move {
                let _seat = seat;
                let mut stream = pin!(stream);
                let _ = stream.write_all(OVER_SHARE).await;
                let _ = stream.shutdown().await;
            });
            return;
        }
        let visitor = Visitor {
            app: Arc::clone(&self.app),
            gate: Arc::clone(gate),
            peer,
            rates: Arc::clone(&self.rates),
            turns: Arc::clone(&self.turns),
        };
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let _seat = seat;
            let stream = pin!(stream);
            let service = service_fn(|request| visitor.answer(request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_headers(64)
                .max_buf_size(32 * 1_024)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            // How a connection ends is the caller's business.
            tokio::select! {
                _ = &mut connection => {}
                () = stopped(stop) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
        });
    }
}

/// Ends when the daemon is told to stop.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Whoever is at the other end of one connection.
struct Visitor {
    app: Arc<App>,
    gate: Arc<Gate>,
    peer: Option<Peer>,
    rates: Arc<Rates>,
    turns: Arc<Turns>,
}

impl Visitor {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Infallible> {
        let (peer, door) = (self.peer.as_ref(), self.gate.door);
        let uid = peer.map(|peer| peer.uid);
        let situation = self.app.situation();
        let (local, guests) = (&situation.config.local, &situation.guests);
        let admitted = self.gate.admit(guests, peer, request.uri(), request.headers());
        let Admitted { caller, name, client } = match admitted {
            Ok(admitted) => admitted,
            Err(trouble) => {
                events::refused(uid, trouble.code);
                return Ok(problem(&trouble));
            }
        };
        let client = client.to_owned();
        let (method, path) = routes::label(&situation.config.platform, &request);
        let who = uid.map_or_else(|| Who::Plugin(name.to_owned()), Who::User);
        let rules = Rules { narrowed: guests.are_narrowed(), proofs: local.proofs };
        let admit = |verb: Verb| {
            may(caller, door, verb, rules).map_err(Trouble::of)?;
            // The owner's socket is how he finds out what is wrong; nobody else's asking may keep him from that.
            if door == Door::Admin { Ok(()) } else { self.count(&who, verb, local.limits) }
        };
        let visit = Visit { app: &self.app, who: &who, turns: &self.turns };
        let response = routes::answer(&visit, admit, request).await;
        let outcome = outcome(&response);
        events::called(Called { uid, client: &client, method, path, outcome });
        Ok(response)
    }

    fn count(&self, who: &Who, verb: Verb, limits: Limits) -> Result<(), Trouble> {
        let (kind, rate) = if verb.is_a_call() {
            let (per_second, burst) = (limits.calls_per_second, limits.calls_burst);
            (Kind::Calls, Rate { per_second, burst })
        } else if verb == Verb::Ownership {
            (Kind::Challenges, CHALLENGES)
        } else {
            let (per_second, burst) = (limits.control_per_second, limits.control_burst);
            (Kind::Control, Rate { per_second, burst })
        };
        self.rates.take(who, kind, rate, self.app.clock.ticks()).map_err(|wait| {
            let seconds = i64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(i64::MAX);
            Trouble::of(Code::TooManyRequests).retry_after(seconds)
        })
    }
}
