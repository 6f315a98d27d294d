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
