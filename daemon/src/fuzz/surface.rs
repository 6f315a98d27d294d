//! A whole daemon behind its sockets, and raw bytes thrown at it.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use super::scratch;
use crate::{
    cli::run_daemon,
    config::Config,
    places::{Places, Service, Wishes},
    systemd::{Inherited, Manager},
};

/// How long nothing may come before there is nothing more to come.
const SILENCE: Duration = Duration::from_millis(30);

/// The store's file: a server that nobody listens at.
const STORE: &str = r#"
platform = "wordpress"
site_url = "http://127.0.0.1:8088"
redirect_uri = "http://127.0.0.1:8088/callback"
issuer = "http://127.0.0.1:1"
"#;

/// Raw bytes at a socket: the first says which one, the rest is what is sent. Whatever is answered is HTTP, and no
/// failure of the daemon's own.
pub fn surface(bytes: &[u8]) {
    static SOCKETS: OnceLock<[PathBuf; 2]> = OnceLock::new();
    let sockets = SOCKETS.get_or_init(start);
    let Some((door, sent)) = bytes.split_first() else { return };
    let mut stream = UnixStream::connect(&sockets[usize::from(door % 2)]).expect("it listens");
    stream.set_read_timeout(Some(SILENCE)).expect("a timeout");
    // A refusal may come before everything is sent.
    let _ = stream.write_all(sent);
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    while let Ok(length @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..length]);
    }
    if !answer.is_empty() {
        let head = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
        assert!(head.starts_with("HTTP/1."), "{head}");
        assert!(!head.ends_with(" 500"), "a failure of its own");
    }
}

fn start() -> [PathBuf; 2] {
    let dir = scratch();
    let file = dir.join("store.toml");
    fs::write(&file, STORE).expect("written");
    let config = Config::read(&file).expect("a store");
    let (state_dir, socket) = (Some(dir.join("state")), Some(dir.join("api.sock")));
    let wishes = Wishes { state_dir, socket };
    let places = Places::decide(&wishes, &Service::from_environment(), None);
    let places = places.expect("places");
    let sockets = [places.api_socket.clone(), places.admin_socket.clone()];
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let daemon = run_daemon(
            file,
            Arc::new(config),
            places,
            String::new(),
            Manager::default(),
            Inherited::default(),
        );
        runtime.expect("a runtime").block_on(daemon).expect("it runs to its end");
    });
    while UnixStream::connect(&sockets[1]).is_err() {
        thread::yield_now();
    }
    sockets
}
