//! Where on the way a call gets lost, by sockets that do what lost calls meet.

use std::{net::TcpStream, time::Duration};

use tokio::net::TcpSocket;

use super::{super::super::failure, *};
use crate::{trouble::Code, upstream::Unanswered};

/// Long enough for what is on this machine, and short enough to wait for what never comes.
const SHORT: Duration = Duration::from_millis(300);

/// What a call of `url` comes to when it may take `patience` in all.
async fn lost(url: &str, patience: Option<Duration>) -> Code {
    let config = Config::parse(&store("http://localhost:9", "")).expect("a store");
    let builder = builder(&config, |_| None).expect("good").connect_timeout(SHORT);
    let mut call = builder.build().expect("a client").get(url);
    if let Some(patience) = patience {
        call = call.timeout(patience);
    }
    match failure::of(&call.send().await.expect_err(url)) {
        Unanswered::Network(code, _) => code,
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test]
async fn a_name_that_nobody_can_have() {
    // Longer than a label may be, so that no name server is asked.
    let url = format!("http://{}.test/", "a".repeat(64));
    assert_eq!(lost(&url, None).await, Code::ServerNameUnresolved);
}

#[tokio::test]
async fn a_port_at_which_nobody_listens() {
    // It is taken all the same, so that nobody else is given it.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let url = format!("http://{}/", socket.local_addr().expect("an address"));
    assert_eq!(lost(&url, None).await, Code::ServerConnectionRefused);
}

#[tokio::test]
async fn an_address_that_takes_no_more_connections() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("an address");
    // Nobody accepts; when the queue is full, the system drops what knocks.
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, SHORT) {
        queue.push(stream);
        assert!(queue.len() < 100, "the queue has no end");
    }
    assert_eq!(lost(&format!("http://{address}/"), None).await, Code::ServerConnectTimeout);
}

#[tokio::test]
async fn a_server_that_listens_and_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    assert_eq!(lost(&url, Some(SHORT)).await, Code::ServerAnswerTimeout);
    assert_eq!(Unanswered::late().code(Code::Internal), Code::ServerAnswerTimeout);
}

#[tokio::test]
async fn a_server_that_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let hanging_up = tokio::spawn(async move { drop(listener.accept().await.expect("a call")) });
    assert_eq!(lost(&url, None).await, Code::ServerUnreachable);
    hanging_up.await.expect("hung up");
}
