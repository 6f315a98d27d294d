//! The readers of foreign bytes, each with what must hold whatever comes: for fuzzers (`tests/fuzz`), and for the
//! mutations of their corpora that the tests go through.

#[cfg(fuzzing)]
mod surface;
#[cfg(test)]
mod tests;

use std::{fs, path::PathBuf, str};

use counterfoil_protocol::{
    UnixTime,
    callback::with_parameters,
    proof::{self, Expectation, NonceRule, Window},
    secret::Secret,
    uri::HttpUri,
    webhook::{self, Signature},
};

#[cfg(fuzzing)]
pub use self::surface::surface;
use crate::{
    files,
    journal::{Journal, JournalError},
    session::{
        Event, Facts, Session,
        samples::{NOW, World, awaiting},
    },
    site::Site,
};

/// The key of the corpus's proofs; nobody here can sign with another.
const PROOF_KEY: &str = "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U";

/// When the corpus's proofs were made.
const PROOF_TIME: UnixTime = UnixTime(1_767_225_600);

/// The secret of the corpus's webhook deliveries.
const WEBHOOK_SECRET: &str = "whsec_corpus";

/// A callback's query: nothing is taken without the right state, and a code only from the right issuer.
pub fn callback(bytes: &[u8]) {
    let Ok(query) = str::from_utf8(bytes) else { return };
    let world = World::default();
    let before = awaiting();
    let mut session = Session::resume(before.clone());
    let event = Event::CallbackReceived { query: Secret::new(query), bind: None };
    session.apply(event, &world.at(NOW));
    let given = query.strip_prefix('?').unwrap_or(query);
    let values = |wanted: &str| -> Vec<String> {
        let pairs = form_urlencoded::parse(given.as_bytes());
        pairs.filter(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).collect()
    };
    if values("state") != ["state-1"] {
        assert!(session.facts == before, "a callback without the state changed something");
    }
    if let Some(exchange) = &session.facts.exchange {
        assert_eq!(values("iss"), [world.config.issuer.as_str()]);
        assert_eq!(values("code"), [exchange.code.expose()]);
        assert!(values("error").is_empty());
    }
    // What is written by our own hand is read back.
    let whole = with_parameters("https://shop.example/cb", &[("state", given)]);
    assert!(whole.starts_with("https://shop.example/cb"));
}

/// A proof: good only if the one key signed it, for this very request.
pub fn proof(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for (method, url, token) in [
        ("POST", "https://pay.example/oauth/token", None),
        ("POST", "https://pay.example/oauth/token", Some("vector-access-token")),
        ("GET", "https://pay.example/api/partner/v1/company", Some("vector-access-token")),
    ] {
        let uri = HttpUri::parse(url).expect("an address");
        let expected = Expectation {
            method,
            uri: &uri,
            now: PROOF_TIME,
            window: Window::NATIVE,
            access_token: token,
            nonce: NonceRule::Optional(&|_| false),
        };
        if let Ok(proof) = proof::judge(text, &expected) {
            assert_eq!(proof.thumbprint.to_string(), PROOF_KEY);
            assert!(Window::NATIVE.admits(proof.iat, PROOF_TIME) && !proof.jti.is_empty());
        }
    }
}

/// A facts document: read and written again it is the same, and no rule stumbles over it.
pub fn facts(bytes: &[u8]) {
    let Ok(facts) = serde_json::from_slice::<Facts>(bytes) else { return };
    let text = serde_json::to_string(&facts).expect("what was read can be written");
    assert!(serde_json::from_str::<Facts>(&text).expect("and read again") == facts);
    let world = World::default();
    for now in [UnixTime(0), NOW, NOW + 7_200, UnixTime(i64::MAX)] {
        let cx = world.at(now);
        let mut session = Session::resume(facts.clone());
        session.words(session.state(&cx), &cx);
        session.apply(Event::Tick, &cx);
        session.apply(Event::TokenDemanded { rejected: None }, &cx);
        session.apply(Event::DisconnectAsked { forget: false }, &cx);
        session.next_due();
        session.words(session.state(&cx), &cx);
    }
}

/// A journal's file: what is refused is left as it was, what is taken can be kept and read again.
pub fn journal(bytes: &[u8]) {
    let path = scratch().join("journal.db");
    fs::write(&path, bytes).expect("written");
    match Journal::open(&path, None) {
        Ok((mut journal, identity, facts)) => {
            // A layout brought forward may leave what nobody can write to, as long as it says so.
            if journal.save(&facts, NOW).is_ok() {
                drop(journal);
                let (_, again, same) = Journal::open(&path, None).expect("read again");
                assert!(again == identity && same == facts);
            }
        }
        Err(JournalError::Damaged { .. } | JournalError::Newer { .. }) => {
            assert!(fs::read(&path).expect("there") == bytes, "the evidence was changed");
        }
        Err(_) => {}
    }
}

/// `Counterfoil-Site`: what is understood is written in one way, and is no stranger to itself.
pub fn site(bytes: &[u8]) {
    let Some(site) = str::from_utf8(bytes).ok().and_then(Site::parse) else { return };
    let again = Site::parse(&site.to_string()).expect("its own words");
    assert_eq!(again, site);
    assert!(site.differences(&again, true).is_empty() && site.is_at(&site.home));
}

/// A webhook delivery, the signature header in the first line and the body below: good only if the secret signed it.
pub fn webhook(bytes: &[u8]) {
    let cut = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (head, body) = (&bytes[..cut], bytes.get(cut + 1..).unwrap_or_default());
    let Ok(header) = str::from_utf8(head) else { return };
    let secret = Secret::new(WEBHOOK_SECRET);
    let Ok(signature) = Signature::parse(header) else { return };
    if webhook::verify(header, &secret, body, PROOF_TIME, 300).is_ok() {
        assert!(signature.is_fresh(PROOF_TIME, 300) && signature.is_by(&secret, body));
        let ours = webhook::sign(&secret, signature.at(), body);
        let (_, value) = ours.split_once("v1=").expect("a signature");
        assert!(header.contains(value), "taken without the signature");
    }
}

/// A directory of this thread.
fn scratch() -> PathBuf {
    let thread = format!("{:?}", std::thread::current().id());
    let name = format!("counterfoild-fuzz-{}-{thread}", std::process::id());
    let path = std::env::temp_dir().join(name);
    files::create_private_dir(&path).expect("a directory");
    path
}
