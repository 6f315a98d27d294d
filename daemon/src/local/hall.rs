//! Attending to connections: each is judged, served, and ended in time.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::{
    App, Doors, Response,
    gate::{Admitted, Gate},
    peer::Peer,
    problem::{outcome, problem},
    rights::{Door, Rules, may},
    routes,
};
use crate::{events, history::Called};

/// Connections at one time. More wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 2_048;

/// How long a caller may take for the head of a request, and a kept connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests under way are given at the end.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `stop` turns true, then lets the requests under way finish.
pub(crate) async fn serve(doors: Doors, app: Arc<App>, stop: watch::Receiver<bool>) {
    let Doors { api, admin, port, owner } = doors;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let hall = Hall { app, stop, places };
    let gate = |door| Gate { door, owner, address: None, token: None };
    let (api_gate, admin_gate) = (Arc::new(gate(Door::Api)), Arc::new(gate(Door::Admin)));
    let port = async {
        if let Some((listener, token)) = port {
            let address = listener.local_addr().ok().map(|address| address.to_string());
            let gate = Arc::new(Gate { address, token: Some(token), ..gate(Door::Port) });
            hall.attend_port(&listener, &gate).await;
        }
    };
    tokio::join!(
        hall.attend_socket(&api, &api_gate),
        hall.attend_socket(&admin, &admin_gate),
        port
    );
    let finished = hall.places.acquire_many(u32::try_from(MAX_CONNECTIONS).unwrap_or(u32::MAX));
    let _ = tokio::time::timeout(GRACE, finished).await;
}

/// Where connections are attended to.
struct Hall {
    app: Arc<App>,
    stop: watch::Receiver<bool>,
    places: Arc<Semaphore>,
}

impl Hall {
    async fn attend_socket(&self, listener: &UnixListener, gate: &Arc<Gate>) {
        while let Some((stream, place)) = self.next(|| listener.accept()).await {
            // Whoever cannot be named is judged as nobody; one bad peer ends only its own connection.
            let peer = Peer::of(&stream).ok();
            self.attend(stream, peer, gate, place);
        }
    }

    async fn attend_port(&self, listener: &TcpListener, gate: &Arc<Gate>) {
        while let Some((stream, place)) = self.next(|| listener.accept()).await {
            let _ = stream.set_nodelay(true);
            self.attend(stream, None, gate, place);
        }
    }

    /// The next connection, when there is a place for it; `None` at the end.
    async fn next<S, A, F>(&self, accept: impl Fn() -> F) -> Option<(S, OwnedSemaphorePermit)>
    where
        F: Future<Output = io::Result<(S, A)>>,
    {
        loop {
            let accepted = async {
                let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
                Some((accept().await, place))
            };
            let (accepted, place) = tokio::select! {
                () = stopped(self.stop.clone()) => return None,
                accepted = accepted => accepted?,
            };
            match accepted {
                Ok((stream, _)) => return Some((stream, place)),
                Err(error) => {
                    // Out of descriptors, mostly: the connection waits in the queue until some are free.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn attend<S>(
        &self,
        stream: S,
        peer: Option<Peer>,
        gate: &Arc<Gate>,
        place: OwnedSemaphorePermit,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (app, gate, stop) = (Arc::clone(&self.app), Arc::clone(gate), self.stop.clone());
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(|request: Request<Incoming>| {
                answer(&app, &gate, peer.as_ref(), request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_headers(64)
                .max_buf_size(64 * 1_024)
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

async fn answer(
    app: &App,
    gate: &Gate,
    peer: Option<&Peer>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let uid = peer.map(|peer| peer.uid);
    let situation = app.situation();
    let (config, guests) = (&situation.config, &situation.guests);
    let response = match gate.admit(guests, peer, request.uri(), request.headers()) {
        Ok(Admitted { caller, client }) => {
            let rules = Rules { narrowed: guests.are_narrowed(), proofs: config.local.proofs };
            let client = client.to_owned();
            let (method, path) = routes::label(&config.platform, &request);
            let response =
                routes::answer(app, |verb| may(caller, gate.door, verb, rules), request).await;
            let outcome = outcome(&response);
            events::called(Called { uid, client: &client, method, path, outcome });
            response
        }
        Err(trouble) => {
            events::refused(uid, trouble.code);
            problem(&trouble)
        }
    };
    Ok(response)
}
