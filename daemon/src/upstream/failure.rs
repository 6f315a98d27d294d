//! Why there is no answer, in words: what reqwest says is for programmers, and may show a URL with its query.

use super::Unanswered;

/// What rustls says of the server's certificate, and what that means.
const CERTIFICATES: &[(&str, &str)] = &[
    ("UnknownIssuer", "it is signed by an authority that this machine does not know"),
    ("expired", "it has expired, or this machine's clock is wrong"),
    ("not valid yet", "it is not valid yet, or this machine's clock is wrong"),
    ("not valid for name", "it is for another name"),
    ("Revoked", "it has been revoked"),
    ("BadSignature", "its signature is wrong"),
    ("CaUsedAsEndEntity", "it is an authority's own"),
];

/// Whether the request's own body broke off on its way in.
pub(super) fn is_of_the_body(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |it| it.source());
    causes.filter_map(|it| it.downcast_ref::<hyper::Error>()).any(hyper::Error::is_user)
}

/// Judges a failure by its causes.
pub(crate) fn of(error: &reqwest::Error) -> Unanswered {
    let causes: Vec<String> =
        std::iter::successors(std::error::Error::source(error), |it| it.source())
            .map(ToString::to_string)
            .collect();
    let begins = |with: &str| causes.iter().find(|cause| cause.starts_with(with));
    if let Some(cause) = begins("invalid peer certificate") {
        let known = CERTIFICATES.iter().find(|(kind, _)| cause.contains(kind));
        let why = known.map_or("it is not a good one", |(_, words)| words);
        return Unanswered::Untrusted(why.to_owned());
    }
    if let Some(cause) = begins("tunnel error") {
        return Unanswered::Proxy(cause.trim_start_matches("tunnel error: ").to_owned());
    }
    Unanswered::Network(match causes.last() {
        _ if error.is_timeout() => "no answer in time".to_owned(),
        Some(cause) => cause.clone(),
        None => "the exchange broke off".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
    };

    use hyper::body::{Body, Frame};
    use tokio::net::TcpListener;

    use super::*;

    /// Breaks off at once.
    struct Broken;

    impl Body for Broken {
        type Data = bytes::Bytes;
        type Error = io::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
            Poll::Ready(Some(Err(io::Error::other("the caller went away"))))
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_the_servers_fault() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let accepting = tokio::spawn(async move { listener.accept().await.expect("a call") });
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let broken = client.post(&url).body(reqwest::Body::wrap(Broken)).send().await;
        assert!(is_of_the_body(&broken.expect_err("broken off")));

        // The listener is gone with whoever accepted, and nobody answers.
        drop(accepting.await.expect("accepted"));
        let refused = client.post(&url).body("whole").send().await;
        assert!(!is_of_the_body(&refused.expect_err("nobody there")));
    }
}
