//! Listening: the two sockets, the loopback port, and the connections that come in.

use std::{
    fs, io,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::UnixStream as StdUnixStream,
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use counterfoil_protocol::secret::Secret;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::{App, Guests, gate::Gate, peer::Peer, problem::problem, routes};
use crate::{clock::Entropy, config::Local, files, places::Places};

/// Connections at one time. More wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 2_048;

/// Connections that the kernel keeps waiting. A plugin whose connect does not fit is refused at once.
const BACKLOG: i32 = 4_096;

/// How long a caller may take for the head of a request, and a kept connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests under way are given at the end.
const GRACE: Duration = Duration::from_secs(5);

/// Everything that listens.
pub(crate) struct Doors {
    api: UnixListener,
    admin: UnixListener,
    port: Option<(TcpListener, Secret)>,
    owner: u32,
    guests: Guests,
}

impl Doors {
    /// Opens both sockets, and the port where it is wished.
    pub(crate) async fn open(
        places: &Places,
        local: &Local,
        owner: u32,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        let guests = Guests::resolve(local).map_err(anyhow::Error::msg)?;
        let dir = places.socket_dir();
        if !dir.exists() {
            files::create_private_dir(dir)
                .with_context(|| format!("cannot make {} for the sockets", dir.display()))?;
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
        }
        files::check_trusted(dir)?;
        let api = listen(&places.api_socket, 0o660, guests.socket_group)?;
        let admin = listen(&places.admin_socket, 0o600, None)?;
        let port = match local.tcp {
            None => None,
            Some(address) => {
                let listener = TcpListener::bind(address)
                    .await
                    .with_context(|| format!("cannot listen on {address}"))?;
                let file = local.tcp_token_file.clone().unwrap_or_else(|| dir.join("tcp-token"));
                let token = bearer_token(&file, guests.socket_group, entropy)
                    .with_context(|| format!("the token file {}", file.display()))?;
                Some((listener, token))
            }
        };
        Ok(Self { api, admin, port, owner, guests })
    }
}

/// Serves until `stop` turns true, then lets the requests under way finish.
pub(crate) async fn serve(doors: Doors, app: Arc<App>, stop: watch::Receiver<bool>) {
    let Doors { api, admin, port, owner, guests } = doors;
    let hall = Hall { app, stop, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) };
    let api_gate = Arc::new(Gate::Socket { owner, guests });
    let admin_gate = Arc::new(Gate::Socket { owner, guests: Guests::default() });
    let port = async {
        if let Some((listener, token)) = port {
            let address = listener.local_addr().map_or_else(|_| String::new(), |it| it.to_string());
            let gate = Arc::new(Gate::Port { address, token });
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
            let peer = Peer::of(&stream, gate.asks_for_groups()).ok();
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
) -> Result<super::Response, std::convert::Infallible> {
    let uid = peer.map(|peer| peer.uid);
    let response = match gate.admit(peer, request.uri(), request.headers()) {
        Ok(client) => {
            tracing::debug!(uid, client, method = %request.method(), path = request.uri().path(), "request");
            routes::answer(app, request).await
        }
        Err(trouble) => {
            tracing::warn!(uid, code = trouble.code.words().code, "refused at the gate");
            problem(&trouble)
        }
    };
    Ok(response)
}

/// Listens on a socket of our own; one that a dead daemon left behind is replaced.
fn listen(path: &Path, mode: u32, group: Option<u32>) -> Result<UnixListener> {
    match StdUnixStream::connect(path) {
        Ok(_) => bail!("something already listens on {}", path.display()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .with_context(|| format!("cannot replace the old socket {}", path.display()))?,
        Err(_) => {}
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    rustix::net::listen(&listener, BACKLOG)?;
    if let Some(group) = group
        && let Err(error) = chown(path, None, Some(group))
    {
        tracing::warn!(
            %error, group, socket = %path.display(),
            "cannot give the socket to its guests' group; make the daemon's user a member of it"
        );
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// The token for callers over TCP: the file's, or a new one where there is no file.
fn bearer_token(path: &Path, group: Option<u32>, entropy: &dyn Entropy) -> Result<Secret> {
    if !path.exists() {
        files::write_durably(path, entropy.base64url::<32>().as_bytes(), 0o640)?;
        if let Some(group) = group {
            chown(path, None, Some(group))?;
        }
    }
    files::check_trusted(path)?;
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    let by_others = mode & 0o007;
    anyhow::ensure!(by_others == 0, "everybody can read it; run: chmod o-rwx {}", path.display());
    let token = Secret::new(fs::read_to_string(path)?.trim());
    anyhow::ensure!(token.expose().len() >= 32, "it holds no token of 32 characters or more");
    Ok(token)
}
