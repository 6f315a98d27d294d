//! The metrics' own listener: `GET /metrics`, without the header that plugins send, and nothing else.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

/// Connections at one time; more wait.
const MAX_CONNECTIONS: usize = 16;

/// How long a connection may last: a scrape takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers scrapes with what `text` makes until `stop` ends.
pub(crate) async fn serve(
    listener: TcpListener,
    text: impl Fn() -> String + Send + Sync + 'static,
    stop: impl Future<Output = ()>,
) {
    let (text, places) = (Arc::new(text), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    tokio::pin!(stop);
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, mostly; the next scrape finds some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let text = Arc::clone(&text);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(|request| {
                std::future::ready(Ok::<_, Infallible>(answer(&request, &*text)))
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_headers(64)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // How a connection ends is the caller's business.
            let _ = tokio::time::timeout(PATIENCE, connection).await;
        });
    }
}

fn answer(request: &Request<Incoming>, text: &impl Fn() -> String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    } else {
        response.headers_mut().insert(CONTENT_TYPE, super::CONTENT_TYPE);
        *response.body_mut() = Full::new(Bytes::from(text()));
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        sync::oneshot,
    };

    use super::*;

    #[tokio::test]
    async fn one_path_one_method_and_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let serving =
            tokio::spawn(serve(listener, || "up 1\n".to_owned(), async { drop(stopped.await) }));
        for (line, status) in [
            ("GET /metrics HTTP/1.1", "200"),
            ("POST /metrics HTTP/1.1", "405"),
            ("GET /v1/status HTTP/1.1", "404"),
        ] {
            let mut stream = TcpStream::connect(address).await.expect("connected");
            let request = format!("{line}\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("an answer, and its end");
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
            assert_eq!(answer.ends_with("\r\n\r\nup 1\n"), status == "200", "{line}: {answer}");
        }
        drop(stop);
        serving.await.expect("ended");
    }
}
