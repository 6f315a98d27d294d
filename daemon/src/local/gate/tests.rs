use hyper::header::{HeaderName, HeaderValue};

use super::*;
use crate::local::bearers::Bearers;

const SHOPS: &str = "Bearer 0123456789abcdef0123456789abcdef";
const OTHERS: &str = "Bearer ffffffffffffffffffffffffffffffff";

const HONEST: &[(&str, &str)] = &[("host", "localhost"), ("counterfoil-client", "shop/1.0")];

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (
            name.parse::<HeaderName>().expect("a name"),
            value.parse::<HeaderValue>().expect("a value"),
        )
    };
    pairs.iter().map(pair).collect()
}

fn gate(door: Door) -> Gate {
    let is_port = door == Door::Port;
    Gate { door, owner: 1_000, address: is_port.then(|| "127.0.0.1:8787".to_owned()) }
}

fn socket() -> Gate {
    gate(Door::Api)
}

fn port() -> Gate {
    gate(Door::Port)
}

#[track_caller]
fn check(
    gate: &Gate,
    peer: (u32, &[u32]),
    uri: &str,
    pairs: &[(&str, &str)],
    expected: Option<Code>,
) {
    let tokens = [("shop", SHOPS), ("other", OTHERS)]
        .map(|(name, bearer)| format!("{name} {}\n", bearer.trim_start_matches("Bearer ")));
    let bearers = Bearers::parse(&tokens.concat()).expect("tokens");
    let guests = Guests { users: vec![33], groups: vec![50], bearers, ..Guests::default() };
    let peer = Peer { uid: peer.0, groups: peer.1.to_vec() };
    let headers = headers(pairs);
    let admitted = gate.admit(&guests, Some(&peer), &uri.parse().expect("a URI"), &headers);
    assert_eq!(
        admitted.map_err(|trouble| trouble.code).err(),
        expected,
        "{peer:?} {uri} {pairs:?}"
    );
}

#[test]
fn owner_root_and_guests_come_in_and_nobody_else() {
    for (uid, groups, at_api, at_admin) in [
        (1_000, &[][..], None, None),
        (0, &[][..], None, None),
        (33, &[33][..], None, Some(Code::CallerRefused)),
        (2_000, &[2_000, 50][..], None, Some(Code::CallerRefused)),
        (2_000, &[2_000][..], Some(Code::CallerRefused), Some(Code::CallerRefused)),
        (50, &[][..], Some(Code::CallerRefused), Some(Code::CallerRefused)),
    ] {
        check(&gate(Door::Api), (uid, groups), "/v1/status", HONEST, at_api);
        check(&gate(Door::Admin), (uid, groups), "/v1/status", HONEST, at_admin);
    }
    let (guests, headers) = (Guests::default(), headers(HONEST));
    let nobody = socket().admit(&guests, None, &Uri::from_static("/v1/status"), &headers);
    assert_eq!(nobody.expect_err("unknown").code, Code::CallerRefused);
}

#[test]
fn browsers_are_refused_whatever_they_say() {
    for name in [
        "origin",
        "referer",
        "sec-fetch-site",
        "sec-fetch-mode",
        "Sec-Fetch-Anything",
        "Sec-CH-UA",
        "sec-websocket-key",
        "cookie",
        "forwarded",
        "via",
        "x-forwarded-for",
        "X-Forwarded-Host",
    ] {
        for value in ["", "null", "http://localhost"] {
            let pairs = [HONEST, &[(name, value)][..]].concat();
            check(&socket(), (1_000, &[]), "/v1/status", &pairs, Some(Code::BrowserRefused));
        }
    }
}

#[test]
fn only_our_own_host_is_ours() {
    for host in [
        "evil.example",
        "localhost:80",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1",
        "",
        "localhost, evil",
    ] {
        let pairs = [("host", host), HONEST[1]];
        check(&socket(), (1_000, &[]), "/v1/status", &pairs, Some(Code::HostRefused));
    }
    check(&socket(), (1_000, &[]), "/v1/status", &HONEST[1..], Some(Code::HostRefused));
    let twice = [HONEST[0], HONEST[0], HONEST[1]];
    check(&socket(), (1_000, &[]), "/v1/status", &twice, Some(Code::HostRefused));
    check(&socket(), (1_000, &[]), "http://localhost/v1/status", HONEST, Some(Code::HostRefused));
}

#[test]
fn a_plugin_says_its_name_and_version() {
    for client in [
        "",
        "shop",
        "shop/",
        "/1",
        "a b/1",
        "shop/1/2",
        "shop/1,2",
        "-a/1",
        &format!("{}/1", "a".repeat(65)),
    ] {
        let pairs = [HONEST[0], ("counterfoil-client", client)];
        check(&socket(), (1_000, &[]), "/", &pairs, Some(Code::ClientHeaderMissing));
    }
    check(&socket(), (1_000, &[]), "/", &HONEST[..1], Some(Code::ClientHeaderMissing));
    let twice = [HONEST[0], HONEST[1], HONEST[1]];
    check(&socket(), (1_000, &[]), "/", &twice, Some(Code::ClientHeaderMissing));
    check(
        &socket(),
        (1_000, &[]),
        "/",
        &[HONEST[0], ("counterfoil-client", "a.b_c-d/1.0+x")],
        None,
    );
}

#[test]
fn the_port_wants_a_plugins_own_token_and_knows_its_address() {
    let with = |pairs: &[(&'static str, &'static str)]| [HONEST, pairs].concat();
    let anyone = (65_534, &[][..]);
    check(&port(), anyone, "/", &with(&[("authorization", SHOPS)]), None);
    let lower = with(&[("authorization", "bearer 0123456789abcdef0123456789abcdef")]);
    check(&port(), anyone, "/", &lower, None);
    for wrong in [
        "Bearer 0123456789abcdef0123456789abcdeF",
        "Bearer 0123456789abcdef0123456789abcde",
        "Bearer 0123456789abcdef0123456789abcdef0",
        "Bearer ",
        "0123456789abcdef0123456789abcdef",
        "Basic 0123456789abcdef0123456789abcdef",
    ] {
        let pairs = with(&[("authorization", wrong)]);
        check(&port(), anyone, "/", &pairs, Some(Code::TokenRequired));
    }
    check(&port(), anyone, "/", HONEST, Some(Code::TokenRequired));
    let twice = with(&[("authorization", SHOPS), ("authorization", SHOPS)]);
    check(&port(), anyone, "/", &twice, Some(Code::TokenRequired));
    check(&port(), anyone, "/", &with(&[("authorization", OTHERS)]), Some(Code::TokenMismatch));
    let own = [("host", "127.0.0.1:8787"), HONEST[1], ("authorization", SHOPS)];
    check(&port(), anyone, "/", &own, None);
    for host in ["127.0.0.1:8788", "127.0.0.1", "localhost:8787", "[::1]:8787", "shop.example:8787"]
    {
        let other = [("host", host), HONEST[1], ("authorization", SHOPS)];
        check(&port(), anyone, "/", &other, Some(Code::HostRefused));
    }
    let browser = with(&[("authorization", SHOPS), ("origin", "http://127.0.0.1:8787")]);
    check(&port(), anyone, "/", &browser, Some(Code::BrowserRefused));
}
