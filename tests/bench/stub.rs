//! An API that answers every call the same at once: what is measured before it is the daemon's.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use anyhow::Result;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"paymentLinks\": []}";

/// Listens, and answers for as long as the program runs; its origin.
pub fn start() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let origin = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    Ok(origin)
}

/// Requests without bodies, until the other side closes.
fn serve(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let (mut head, mut part) = (Vec::new(), [0; 8_192]);
    while let Ok(length @ 1..) = stream.read(&mut part) {
        head.extend_from_slice(&part[..length]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if stream.write_all(ANSWER.as_bytes()).is_err() {
                return;
            }
        }
    }
}
