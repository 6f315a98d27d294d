//! Why there is no answer, in words: what reqwest says is for programmers, and may show a URL with its query.

use std::{error::Error, io};

use super::Unanswered;
use crate::trouble::Code;

/// What rustls says of the server's certificate, and what that means.
const CERTIFICATES: &[(&str, Code, &str)] = &[
    (
        "UnknownIssuer",
        Code::ServerCertificateUnknown,
        "it is signed by an authority that this machine does not know",
    ),
    // As most tools make those that are signed by nobody else.
    ("CaUsedAsEndEntity", Code::ServerCertificateUnknown, "it is an authority's own"),
    ("expired", Code::ServerCertificateExpired, "it has expired, or this machine's clock is wrong"),
    (
        "not valid yet",
        Code::ServerCertificateExpired,
        "it is not valid yet, or this machine's clock is wrong",
    ),
    ("not valid for name", Code::ServerCertificateMisnamed, "it is for another name"),
    ("Revoked", Code::ServerUntrusted, "it has been revoked"),
    ("BadSignature", Code::ServerUntrusted, "its signature is wrong"),
];

/// Whether the request's own body broke off on its way in.
pub(super) fn is_of_the_body(error: &reqwest::Error) -> bool {
    causes(error).filter_map(|it| it.downcast_ref::<hyper::Error>()).any(hyper::Error::is_user)
}

/// Judges a failure by its causes.
pub(crate) fn of(error: &reqwest::Error) -> Unanswered {
    let causes: Vec<String> = causes(error).map(ToString::to_string).collect();
    let begins = |with: &str| causes.iter().find(|cause| cause.starts_with(with));
    if let Some(cause) = begins("invalid peer certificate") {
        let known = CERTIFICATES.iter().find(|(kind, ..)| cause.contains(kind));
        let other = (Code::ServerUntrusted, "it is not a good one");
        let (code, why) = known.map_or(other, |(_, code, why)| (*code, *why));
        return Unanswered::Untrusted(code, why.to_owned());
    }
    if let Some(cause) = begins("tunnel error") {
        return Unanswered::Proxy(cause.trim_start_matches("tunnel error: ").to_owned());
    }
    let kind = causes_of_io(error).last();
    let late = error.is_timeout() || kind == Some(io::ErrorKind::TimedOut);
    let (code, otherwise) = match kind {
        _ if begins("dns error").is_some() => (Code::ServerNameUnresolved, "no such name"),
        _ if late && error.is_connect() => (Code::ServerConnectTimeout, "no connection in time"),
        _ if late => return Unanswered::late(),
        Some(io::ErrorKind::ConnectionRefused) => (Code::ServerConnectionRefused, "refused"),
        _ => (Code::ServerUnreachable, "the exchange broke off"),
    };
    let cause = causes.last().filter(|_| !late);
    Unanswered::Network(code, cause.map_or_else(|| otherwise.to_owned(), Clone::clone))
}

/// What an error says is behind it, and behind that.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |it| (*it).source())
}

/// What the system says, where it was asked.
fn causes_of_io(error: &reqwest::Error) -> impl Iterator<Item = io::ErrorKind> {
    causes(error).filter_map(|it| it.downcast_ref::<io::Error>()).map(io::Error::kind)
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
