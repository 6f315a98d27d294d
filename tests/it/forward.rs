//! Calls that the daemon forwards, against an API that says and does what a test wants.

use anyhow::{Context as _, Result};
use world::{
    Api, Behaviour, Browser, Daemon, Decision, Exchange, Front, RawAnswer, Server, Settings, Step,
};

const SITE: &str = "http://127.0.0.1:18080";

/// What asks for a nonce, as RFC 9449 §9 has it.
const CHALLENGE: &str = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: DPoP error=\"use_dpop_nonce\"\r\n\
    dpop-nonce: fresh-one\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine";

/// A connected daemon whose calls go to an API of the test's own.
async fn stage(local: &str) -> Result<(Server, Daemon, Api)> {
    let (server, api) = (Server::start().await?, Api::listen().await?);
    let store = api.setting()?;
    let settings = Settings { store: &store, local, ..Settings::default() };
    let daemon = Daemon::start_with(&server.issuer(), SITE, settings).await?;
    assert_eq!(daemon.connect(&mut Browser::new()?, Decision::Approve).await?.status, 200);
    Ok((server, daemon, api))
}

fn head(method: &str, more: &str) -> String {
    format!(
        "{method} /v1/api/makepay/payment-links HTTP/1.1\r\nHost: localhost\r\nCounterfoil-Client: shop/1.0\r\n\
         Connection: close\r\n{more}\r\n"
    )
}

/// Sends a whole request and answers what came back, while the API does as it is told.
async fn call<F: Future<Output = Result<()>>>(
    daemon: &Daemon,
    request: impl AsRef<[u8]>,
    api: F,
) -> Result<RawAnswer> {
    let place = daemon.place();
    let (answer, done) = tokio::join!(place.say(request), api);
    done?;
    answer
}

fn chunked(parts: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts.iter().chain([&&b""[..]]) {
        body.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body
}

#[tokio::test]
async fn a_small_body_is_sent_again_and_a_long_one_only_by_the_caller() -> Result<()> {
    let (_server, daemon, api) = stage("").await?;
    // Small, of unknown length: the API gets it whole, twice.
    let request = [
        head("POST", "Transfer-Encoding: chunked\r\n").into_bytes(),
        chunked(&[b"{\"a\"", b":1}"]),
    ]
    .concat();
    let answer = call(&daemon, request, async {
        for (answer, nonce) in [(CHALLENGE, false), (FINE, true)] {
            let mut exchange = api.next().await?;
            exchange.read_until(|body| body.len() >= 7).await?;
            assert_eq!(exchange.body, b"{\"a\":1}");
            assert_eq!(exchange.header("content-length"), Some("7"));
            assert_eq!(proof_has_nonce(&exchange)?, nonce);
            exchange.end(answer).await?;
        }
        Ok(())
    })
    .await?;
    assert_eq!((answer.status(), answer.body()), (200, &b"fine"[..]));

    // Long: once. What the caller is told makes his next try good.
    let long = vec![b'x'; 300_000];
    let request = [head("POST", "Content-Length: 300000\r\n").into_bytes(), long].concat();
    let other = CHALLENGE.replace("fresh-one", "fresh-two");
    let answer = call(&daemon, &request, async {
        let mut exchange = api.next().await?;
        exchange.read_until(|body| body.len() >= 300_000).await?;
        exchange.end(other).await
    })
    .await?;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (503, "body_not_repeatable"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    let answer = call(&daemon, &request, async {
        let mut exchange = api.next().await?;
        exchange.read_until(|body| body.len() >= 300_000).await?;
        assert_eq!(exchange.header("content-length"), Some("300000"));
        assert_eq!(exchange.header("transfer-encoding"), None);
        exchange.end(FINE).await
    })
    .await?;
    assert_eq!(answer.status(), 200);
    Ok(())
}

/// Whether the proof of a call has a nonce; its payload is what stands between the dots.
fn proof_has_nonce(exchange: &Exchange) -> Result<bool> {
    let proof = exchange.header("dpop").context("a proof")?;
    let payload = proof.split('.').nth(1).context("a payload")?;
    let payload = counterfoil_protocol::encoding::from_base64url(payload).context("base64url")?;
    Ok(String::from_utf8(payload)?.contains("\"nonce\""))
}

#[tokio::test]
async fn bodies_are_streamed_both_ways() -> Result<()> {
    let (_server, daemon, api) = stage("").await?;
    let mut line = daemon.place().open().await?;
    line.write(head("POST", "Transfer-Encoding: chunked\r\n")).await?;
    let part = vec![b'y'; 100_000];
    line.write(format!("{:x}\r\n", part.len())).await?;
    line.write(&part).await?;
    line.write("\r\n").await?;
    // The API has the first part before the second is sent, and answers before the end.
    let mut exchange = api.next().await?;
    assert_eq!(exchange.header("transfer-encoding"), Some("chunked"));
    exchange.read_until(|body| body.len() > 100_000).await?;
    line.write("1\r\nz\r\n0\r\n\r\n").await?;
    exchange.read_until(|body| body.ends_with(b"0\r\n\r\n")).await?;
    exchange.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await?;
    line.read_until("first").await?;
    exchange.end("6\r\nsecond\r\n0\r\nX-Trailer: t\r\n\r\n").await?;
    let rest = line.read_to_end().await?.text();
    assert!(
        rest.contains("second") && rest.ends_with("0\r\n\r\n") && !rest.contains("X-Trailer"),
        "{rest}"
    );
    Ok(())
}

#[tokio::test]
async fn a_body_has_a_bound_and_an_end() -> Result<()> {
    let (_server, daemon, api) = stage("[local.limits]\nmax_body = 100000").await?;
    let said = daemon.place().say(head("POST", "Content-Length: 100001\r\n")).await?;
    assert_eq!((said.status(), said.code().as_str()), (413, "body_too_large"));
    // One that does not say its length is begun, and broken off when it is too long.
    let request = [
        head("POST", "Transfer-Encoding: chunked\r\n").into_bytes(),
        chunked(&[&vec![b'x'; 90_000], &vec![b'x'; 90_000]]),
    ];
    let answer = call(&daemon, request.concat(), async {
        assert!(api.next().await?.broke_off().await?);
        Ok(())
    })
    .await?;
    assert_eq!(
        (answer.status(), answer.code().as_str()),
        (413, "body_too_large"),
        "{}",
        answer.text()
    );
    // A caller who goes away in the middle takes his call with him.
    let mut line = daemon.place().open().await?;
    line.write(
        [head("POST", "Content-Length: 99999\r\n").as_bytes(), &vec![b'x'; 80_000]].concat(),
    )
    .await?;
    let exchange = api.next().await?;
    drop(line);
    assert!(exchange.broke_off().await?);
    // An answer that is longer is refused, or seen as broken.
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 100001\r\n\r\n";
    let answer =
        call(&daemon, head("GET", ""), async { api.next().await?.end(long).await }).await?;
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_too_large"));
    let long = [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        chunked(&[&vec![b'x'; 90_000], &vec![b'x'; 90_000]]),
    ];
    let answer = call(&daemon, head("GET", ""), async {
        drop(api.next().await?.end(long.concat()).await);
        Ok(())
    })
    .await?;
    assert!(answer.status() == 200 && !answer.0.ends_with(b"0\r\n\r\n"), "seen as broken");
    Ok(())
}

#[tokio::test]
async fn answers_are_passed_on_as_they_are() -> Result<()> {
    let (_server, daemon, api) = stage("").await?;
    for (said, expected, body) in [
        ("HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n", "HTTP/1.1 204 No Content\r\nx-a: 1\r\n", ""),
        (
            "HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\n",
            "",
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n",
            "ok",
        ),
        (
            "HTTP/1.1 302 Found\r\nlocation: https://evil.example/\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nlocation: https://evil.example/\r\n",
            "",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x0b\x08",
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n",
            "\x1f\x0b\x08",
        ),
        (
            "HTTP/1.1 418 I'm a teapot\r\nset-cookie: a=b\r\ndpop-nonce: n\r\nx-b: 2\r\ncontent-length: 1\r\n\r\n!",
            "HTTP/1.1 418 I'm a teapot\r\nx-b: 2\r\n",
            "!",
        ),
    ] {
        let answer =
            call(&daemon, head("GET", ""), async { api.next().await?.end(said).await }).await?;
        assert!(answer.text().starts_with(expected), "{said}: {}", answer.text());
        assert_eq!(answer.body(), body.as_bytes(), "{said}");
    }
    // Broken off in the middle: the caller sees fewer bytes than were announced.
    let broken = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nhalf";
    let answer =
        call(&daemon, head("GET", ""), async { api.next().await?.end(broken).await }).await?;
    assert_eq!(
        (answer.header("content-length").as_deref(), answer.body().len() < 100_000),
        (Some("100000"), true)
    );
    let refused = daemon.place().say(head("HEAD", "")).await?;
    assert_eq!((refused.status(), refused.header("allow").as_deref()), (405, Some("GET, POST")));
    Ok(())
}

#[tokio::test]
async fn our_token_and_proof_do_not_come_back() -> Result<()> {
    let (_server, daemon, api) = stage("").await?;
    for in_body in [false, true] {
        let answer = call(&daemon, head("GET", "Authorization: Bearer stolen\r\nDPoP: forged\r\n"), async {
            let exchange = api.next().await?;
            let token = exchange.header("authorization").context("a token")?.to_owned();
            let proof = exchange.header("dpop").context("a proof")?.to_owned();
            assert!(token.starts_with("DPoP ") && !exchange.head.contains("stolen") && !exchange.head.contains("forged"));
            let body = if in_body { format!("you sent {token}") } else { "nothing".to_owned() };
            let length = body.len();
            exchange.end(format!("HTTP/1.1 200 OK\r\nx-token: {token}\r\nx-proof: <{proof}>\r\nx-kept: 1\r\ncontent-length: {length}\r\n\r\n{body}")).await
        })
        .await?;
        let text = answer.text();
        assert!(!text.contains("eyJ"), "{text}");
        if in_body {
            assert_eq!((answer.status(), answer.code().as_str()), (502, "token_echoed"));
        } else {
            assert_eq!((answer.status(), answer.header("x-kept").as_deref()), (200, Some("1")));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_caller_who_reads_slowly_costs_no_memory() -> Result<()> {
    const SIZE: usize = 24 * 1_024 * 1_024;
    let (_server, daemon, api) = stage("").await?;
    let peak = || -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("VmHWM")?;
        Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
    };
    let before = peak()?;
    let mut line = daemon.place().open().await?;
    line.write(head("GET", "")).await?;
    let mut exchange = api.next().await?;
    exchange.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n")).await?;
    let (said, said_now) = tokio::sync::watch::channel(0);
    let saying = tokio::spawn(async move {
        let part = vec![b'x'; 65_536];
        for _ in 0..SIZE / 65_536 {
            exchange.say(&part).await?;
            said.send_modify(|said| *said += 65_536);
        }
        anyhow::Ok(())
    });
    // Nothing is read here until the API cannot say any more.
    let mut said_now = said_now;
    while tokio::time::timeout(std::time::Duration::from_millis(500), said_now.changed())
        .await
        .is_ok()
    {}
    assert!(*said_now.borrow() < SIZE / 2, "{} bytes wait somewhere", *said_now.borrow());
    let answer = line.read_to_end().await?;
    saying.await??;
    assert_eq!(answer.body().len(), SIZE);
    let grown = peak()? - before;
    assert!(grown < 8 * 1_024, "{grown} KiB more than before");
    Ok(())
}

#[tokio::test]
async fn a_caller_who_goes_away_ends_no_renewal() -> Result<()> {
    let front = Front::listen().await?;
    let _server =
        Server::start_behind(&front, &[("COUNTERFOIL_LIFETIMES_ACCESS_TOKEN", "4")]).await?;
    let daemon = Daemon::start(&front.issuer(), SITE, "").await?;
    front.script(Step::Refresh, &[Behaviour::Hold]);
    assert_eq!(daemon.connect(&mut Browser::new()?, Decision::Approve).await?.status, 200);
    world::until("a renewal is on its way", async || {
        (front.count(Step::Refresh) > 0).then_some(())
    })
    .await?;
    let served = async || Some(daemon.place().say(head("GET", "")).await.ok()?.status());
    // The token ends while the renewal hangs; whoever calls now waits for it, and gives up.
    let mut line = daemon.place().open().await?;
    loop {
        line.write(head("GET", "").replace("Connection: close\r\n", "")).await?;
        if tokio::time::timeout(std::time::Duration::from_secs(1), line.read_one()).await.is_err() {
            break;
        }
    }
    drop(line);
    front.release();
    world::until("the next caller is served", async || (served().await? == 200).then_some(()))
        .await?;
    assert_eq!(daemon.state().await?, "connected");
    Ok(())
}
