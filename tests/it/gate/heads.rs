//! Every head that no honest plugin sends, and honest ones among them, over both ways in.

use anyhow::Result;
use world::Place;

use super::{SHOPS, with_port};

/// What is expected: a status and the code of a problem; status 0 is a connection closed without a word, and an empty
/// code an answer that is no problem of ours.
type Expected = (u16, &'static str);

const FINE: Expected = (200, "");
const BROWSER: Expected = (403, "browser_refused");
const HOST: Expected = (403, "host_refused");
const CLIENT: Expected = (412, "client_header_missing");
const UNPARSED: Expected = (400, "");

/// Requests as templates: `{host}` and `{me}` stand for an honest `Host` header and the honest rest.
const HEADS: &[(&str, &str, Expected)] = &[
    ("honest", "GET /v1/status HTTP/1.1\r\n{host}{me}\r\n", FINE),
    ("honest, HTTP/1.0", "GET /v1/status HTTP/1.0\r\n{host}{me}\r\n", FINE),
    ("names in any case", "GET /v1/status HTTP/1.1\r\nhOST: localhost\r\n{me}\r\n", FINE),
    (
        "an upgrade is not taken up",
        "GET /v1/status HTTP/1.1\r\n{host}{me}Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        FINE,
    ),
    (
        "a websocket",
        "GET /v1/events HTTP/1.1\r\n{host}{me}Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
        BROWSER,
    ),
    (
        "Origin",
        "GET /v1/status HTTP/1.1\r\n{host}{me}Origin: https://evil.example\r\n\r\n",
        BROWSER,
    ),
    ("Origin null", "GET /v1/status HTTP/1.1\r\n{host}{me}Origin: null\r\n\r\n", BROWSER),
    ("an empty Origin", "GET /v1/status HTTP/1.1\r\n{host}{me}Origin:\r\n\r\n", BROWSER),
    (
        "our own Origin",
        "GET /v1/status HTTP/1.1\r\n{host}{me}Origin: http://localhost\r\n\r\n",
        BROWSER,
    ),
    (
        "a preflight",
        "OPTIONS /v1/connect HTTP/1.1\r\n{host}{me}Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n",
        BROWSER,
    ),
    (
        "Referer",
        "GET /v1/status HTTP/1.1\r\n{host}{me}Referer: https://shop.example/\r\n\r\n",
        BROWSER,
    ),
    (
        "Sec-Fetch-Site",
        "GET /v1/status HTTP/1.1\r\n{host}{me}Sec-Fetch-Site: same-origin\r\n\r\n",
        BROWSER,
    ),
    (
        "Sec-Fetch-Mode",
        "GET /v1/status HTTP/1.1\r\n{host}{me}SEC-FETCH-MODE: no-cors\r\n\r\n",
        BROWSER,
    ),
    (
        "Sec-Fetch-Dest",
        "GET /v1/status HTTP/1.1\r\n{host}{me}Sec-Fetch-Dest: empty\r\n\r\n",
        BROWSER,
    ),
    ("Sec-CH-UA", "GET /v1/status HTTP/1.1\r\n{host}{me}Sec-CH-UA: x\r\n\r\n", BROWSER),
    ("Cookie", "GET /v1/status HTTP/1.1\r\n{host}{me}Cookie: session=1\r\n\r\n", BROWSER),
    (
        "X-Forwarded-For",
        "GET /v1/status HTTP/1.1\r\n{host}{me}X-Forwarded-For: 192.0.2.1\r\n\r\n",
        BROWSER,
    ),
    ("Forwarded", "GET /v1/status HTTP/1.1\r\n{host}{me}Forwarded: for=192.0.2.1\r\n\r\n", BROWSER),
    ("Via", "GET /v1/status HTTP/1.1\r\n{host}{me}Via: 1.1 proxy\r\n\r\n", BROWSER),
    ("no Host", "GET /v1/status HTTP/1.1\r\n{me}\r\n", HOST),
    ("no Host, HTTP/1.0", "GET /v1/status HTTP/1.0\r\n{me}\r\n", HOST),
    ("an empty Host", "GET /v1/status HTTP/1.1\r\nHost:\r\n{me}\r\n", HOST),
    ("Host twice", "GET /v1/status HTTP/1.1\r\n{host}{host}{me}\r\n", HOST),
    ("Host and another", "GET /v1/status HTTP/1.1\r\n{host}Host: evil.example\r\n{me}\r\n", HOST),
    ("a rebound name", "GET /v1/status HTTP/1.1\r\nHost: evil.example\r\n{me}\r\n", HOST),
    (
        "a rebound name with a port",
        "GET /v1/status HTTP/1.1\r\nHost: evil.example:8787\r\n{me}\r\n",
        HOST,
    ),
    (
        "a name that ends like ours",
        "GET /v1/status HTTP/1.1\r\nHost: evil.localhost\r\n{me}\r\n",
        HOST,
    ),
    (
        "a name that begins like ours",
        "GET /v1/status HTTP/1.1\r\nHost: localhost.evil.example\r\n{me}\r\n",
        HOST,
    ),
    ("a final dot", "GET /v1/status HTTP/1.1\r\nHost: localhost.\r\n{me}\r\n", HOST),
    (
        "another address of this machine",
        "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.2\r\n{me}\r\n",
        HOST,
    ),
    ("the address without a port", "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n{me}\r\n", HOST),
    ("any address", "GET /v1/status HTTP/1.1\r\nHost: 0.0.0.0\r\n{me}\r\n", HOST),
    ("the address as a number", "GET /v1/status HTTP/1.1\r\nHost: 2130706433\r\n{me}\r\n", HOST),
    ("IPv6", "GET /v1/status HTTP/1.1\r\nHost: [::1]\r\n{me}\r\n", HOST),
    ("a user in Host", "GET /v1/status HTTP/1.1\r\nHost: evil@localhost\r\n{me}\r\n", HOST),
    (
        "two hosts in one",
        "GET /v1/status HTTP/1.1\r\nHost: localhost, evil.example\r\n{me}\r\n",
        HOST,
    ),
    ("absolute form", "GET http://localhost/v1/status HTTP/1.1\r\n{host}{me}\r\n", HOST),
    (
        "absolute form elsewhere",
        "GET https://evil.example/v1/status HTTP/1.1\r\n{host}{me}\r\n",
        HOST,
    ),
    ("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\n{host}{me}\r\n", HOST),
    ("authority form", "GET evil.example:443 HTTP/1.1\r\n{host}{me}\r\n", HOST),
    ("asterisk form", "OPTIONS * HTTP/1.1\r\n{host}{me}\r\n", (404, "not_found")),
    ("no client", "GET /v1/status HTTP/1.1\r\n{host}{auth}\r\n", CLIENT),
    (
        "a client without a version",
        "GET /v1/status HTTP/1.1\r\n{host}{auth}Counterfoil-Client: shop\r\n\r\n",
        CLIENT,
    ),
    (
        "an empty client",
        "GET /v1/status HTTP/1.1\r\n{host}{auth}Counterfoil-Client:\r\n\r\n",
        CLIENT,
    ),
    (
        "an odd client",
        "GET /v1/status HTTP/1.1\r\n{host}{auth}Counterfoil-Client: sh\"op/1\r\n\r\n",
        CLIENT,
    ),
    (
        "a client beyond ASCII",
        "GET /v1/status HTTP/1.1\r\n{host}{auth}Counterfoil-Client: sh\u{f6}p/1\r\n\r\n",
        CLIENT,
    ),
    (
        "the client twice",
        "GET /v1/status HTTP/1.1\r\n{host}{me}Counterfoil-Client: shop/1.0\r\n\r\n",
        CLIENT,
    ),
    ("a folded header", "GET /v1/status HTTP/1.1\r\n{host}X-Folded: a\r\n b\r\n{me}\r\n", UNPARSED),
    (
        "a space before the colon",
        "GET /v1/status HTTP/1.1\r\n{host}X-Space : a\r\n{me}\r\n",
        UNPARSED,
    ),
    (
        "a bare line feed in a value",
        "GET /v1/status HTTP/1.1\r\n{host}X-Bare: a\x0bb\r\n{me}\r\n",
        UNPARSED,
    ),
    ("a header without a name", "GET /v1/status HTTP/1.1\r\n{host}: a\r\n{me}\r\n", UNPARSED),
    ("NUL in a value", "GET /v1/status HTTP/1.1\r\n{host}X-Nul: a\0b\r\n{me}\r\n", UNPARSED),
    ("another version", "GET /v1/status HTTP/1.2\r\n{host}{me}\r\n", UNPARSED),
    ("no version", "GET /v1/status\r\n", UNPARSED),
    ("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (0, "")),
    ("a TLS hello", "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03\r\n\r\n", UNPARSED),
    (
        "two lengths that differ",
        "POST /v1/connect HTTP/1.1\r\n{host}{me}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        UNPARSED,
    ),
    (
        "a length that is none",
        "POST /v1/connect HTTP/1.1\r\n{host}{me}Content-Length: +2\r\n\r\n{}",
        UNPARSED,
    ),
    (
        "a negative length",
        "POST /v1/connect HTTP/1.1\r\n{host}{me}Content-Length: -1\r\n\r\n{}",
        UNPARSED,
    ),
    (
        "chunks in HTTP/1.0",
        "POST /v1/connect HTTP/1.0\r\n{host}{me}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        UNPARSED,
    ),
    (
        "another encoding last",
        "POST /v1/connect HTTP/1.1\r\n{host}{me}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        UNPARSED,
    ),
    (
        "a chunk that is none",
        "POST /v1/callback HTTP/1.1\r\n{host}{me}Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        (400, "body_broken_off"),
    ),
    // Chunks count and the length does not (RFC 9112 §6.3), whichever comes first; nothing is left over to be taken
    // for a second request.
    (
        "a length, then chunks",
        "POST /v1/callback HTTP/1.1\r\n{host}{me}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        (400, "body_malformed"),
    ),
    (
        "chunks, then a length",
        "POST /v1/callback HTTP/1.1\r\n{host}{me}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        (400, "body_malformed"),
    ),
];

#[tokio::test]
async fn every_head_is_judged_alike_at_both_doors() -> Result<()> {
    let (daemon, address, _tokens) = with_port("", None).await?;
    let bearer = format!("Authorization: Bearer {SHOPS}\r\n");
    for (place, auth) in
        [(daemon.place(), ""), (daemon.owners_place(), ""), (Place::Port(address), bearer.as_str())]
    {
        let me = format!("Counterfoil-Client: shop/1.0\r\n{auth}Connection: close\r\n");
        for (name, template, (status, code)) in HEADS {
            let request = template
                .replace("{host}", "Host: localhost\r\n")
                .replace("{me}", &me)
                .replace("{auth}", &format!("{auth}Connection: close\r\n"));
            let answer = place.say(&request).await?;
            assert_eq!(
                (answer.status(), answer.code().as_str()),
                (*status, *code),
                "{name} at {place:?}: {}",
                answer.text()
            );
            assert_eq!(
                answer.text().matches("HTTP/1.").count(),
                usize::from(*status != 0),
                "{name}"
            );
            for header in ["access-control-allow-origin", "set-cookie", "upgrade", "server"] {
                assert_eq!(answer.header(header), None, "{name}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_port_takes_its_own_address_and_the_socket_does_not() -> Result<()> {
    let (daemon, address, _tokens) = with_port("", None).await?;
    let request = super::status_with("shop", SHOPS).replace("localhost", &address);
    assert_eq!(Place::Port(address).say(&request).await?.status(), 200);
    assert_eq!(daemon.place().say(&request).await?.code(), "host_refused");
    Ok(())
}

#[tokio::test]
async fn heads_have_bounds() -> Result<()> {
    let (daemon, _address, _tokens) = with_port("", None).await?;
    let with = |header: &str| super::status("shop").replacen("\r\n", &format!("\r\n{header}"), 1);
    let many = |count: usize| "X-A: b\r\n".repeat(count);
    for (what, request, status) in [
        ("61 and 3 headers", with(&many(61)), 200),
        ("62 and 3 headers", with(&many(62)), 431),
        ("a long header", with(&format!("X-Long: {}\r\n", "a".repeat(20_000))), 200),
        ("a header that is too long", with(&format!("X-Long: {}\r\n", "a".repeat(100_000))), 431),
        ("a path that is too long", status_of(&"a".repeat(70_000)), 431),
    ] {
        let answer = daemon.place().say(&request).await?;
        assert_eq!(answer.status(), status, "{what}: {}", answer.text());
    }
    Ok(())
}

fn status_of(path: &str) -> String {
    super::status("shop").replace("/v1/status", &format!("/{path}"))
}
