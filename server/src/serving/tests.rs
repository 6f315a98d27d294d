use axum::{extract::Request as AxumRequest, http::StatusCode, routing::post};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::Notify,
    task::JoinHandle,
};

use super::*;
use crate::http::extract;

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4711);

fn limits() -> Limits {
    Limits::new(&config::Limits::default())
}

/// Answers with the length of the body.
fn app() -> Router {
    Router::new().route(
        "/",
        post(async |request: AxumRequest| {
            let (parts, body) = request.into_parts();
            let length = extract::bytes(&parts, body, 1_000_000).await.map(|bytes| bytes.len());
            length.map(|length| length.to_string())
        })
        .get(async || "x".repeat(100_000)),
    )
}

/// A connection without a socket. Time stands, and jumps when nothing else is left to do.
fn connect(capacity: usize) -> (DuplexStream, JoinHandle<()>, watch::Sender<()>) {
    let (client, server) = duplex(capacity);
    let (stop, stopping) = watch::channel(());
    let service = Service { app: app(), limits: limits(), tls: None, stopping };
    (client, tokio::spawn(service.serve(server, PEER)), stop)
}

async fn read_all(mut client: DuplexStream) -> String {
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("reads");
    answer
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_not_waited_for() {
    let (mut client, connection, _stop) = connect(1 << 16);
    client.write_all(b"POST / HTTP/1.1\r\nhost: x\r\n").await.expect("writes");
    let answer = timeout(Duration::from_secs(11), read_all(client)).await.expect("closed in time");
    assert!(!answer.contains("200"), "{answer}");
    connection.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let (mut client, connection, _stop) = connect(1 << 16);
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx")
        .await
        .expect("writes");
    let answer = timeout(Duration::from_secs(11), read_all(client)).await.expect("closed in time");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    connection.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_refused() {
    let (client, connection, _stop) = connect(1 << 16);
    let (mut reads, mut writes) = tokio::io::split(client);
    let trickle = tokio::spawn(async move {
        let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
        writes.write_all(head).await.expect("writes");
        while writes.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = String::new();
    let read = reads.read_to_string(&mut answer);
    timeout(Duration::from_secs(25), read).await.expect("answered in time").expect("reads");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    connection.await.expect("no panic");
    trickle.abort();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_dropped() {
    let (mut client, connection, _stop) = connect(1_000);
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writes");
    timeout(Duration::from_secs(41), connection).await.expect("dropped in time").expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_head_too_long_is_refused() {
    let (mut client, _connection, _stop) = connect(1 << 20);
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    client.write_all(head.as_bytes()).await.expect("writes");
    let answer = timeout(Duration::from_secs(5), read_all(client)).await.expect("answered");
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn requests_under_way_finish_and_new_ones_are_not_taken() {
    let (arrived, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&arrived), Arc::clone(&release));
    let app = Router::new().route(
        "/",
        axum::routing::get(async move || {
            tell.notify_one();
            wait.notified().await;
            StatusCode::NO_CONTENT
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    let (stop, told) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { drop(told.await) };
    let server = tokio::spawn(run(listener, None, app, limits(), shutdown));
    let mut client = TcpStream::connect(address).await.expect("connects");
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("writes");
    arrived.notified().await;
    stop.send(()).expect("the server runs");
    // The listener is gone once a connection is refused.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    release.notify_one();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("reads");
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    server.await.expect("no panic");
}
