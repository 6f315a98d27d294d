//! Through a proxy: to what was judged, and nowhere else.

use std::sync::Mutex;

use tokio::io::copy_bidirectional;

use super::*;

/// A proxy that leads `to` to a host of the test, and refuses everything else.
struct Way {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Way {
    async fn leading(to: &'static str, host: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let lines = Arc::clone(&asked);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let head = head(&mut stream).await;
                let line = head.lines().next().unwrap_or_default().to_owned();
                let leads = line == format!("CONNECT {to} HTTP/1.1");
                assert!(
                    head.contains(&format!("host: {}", line.split(' ').nth(1).expect("a host")))
                );
                lines.lock().expect("no panic").push(line);
                if !leads {
                    let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
                    continue;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                let mut host = TcpStream::connect(host).await.expect("the host");
                // Whoever heard enough hangs up.
                let _ = copy_bidirectional(&mut stream, &mut host).await;
            }
        });
        Self { address, asked, _serving: serving }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }
}

fn names(known: &[(&'static str, &[&'static str])]) -> Arc<Names> {
    let known = known.iter().map(|(name, addresses)| (*name, vec![addresses.to_vec()])).collect();
    Arc::new(Names { known, asked: AtomicUsize::new(0) })
}

/// A server in earnest, behind the proxy.
fn behind(way: SocketAddr, change: impl FnOnce(&mut Config), names: Arc<Names>) -> Outbound {
    let settled = |config: &mut Config| {
        "https://pay.example".clone_into(&mut config.issuer);
        config.outbound.proxy = Some(format!("http://{way}"));
        change(config);
    };
    client(settled, names)
}

#[tokio::test]
async fn a_tunnel_leads_to_the_address_that_was_judged() {
    let (host, authorities, _serving) = secure_host().await;
    let way = Way::leading("1.0.0.1:443", host).await;
    let names = names(&[
        ("shop.example", &["1.1.1.1", "1.0.0.1"]),
        ("closed.example", &["2606:4700::1111"]),
        ("metadata.example", &["169.254.169.254"]),
        ("both.example", &["1.0.0.1", "10.0.0.1"]),
    ]);
    let believes = |config: &mut Config| {
        config.outbound.certificates = Some(authorities.path().to_owned());
    };
    let client = behind(way.address, believes, Arc::clone(&names));
    // The certificate is for the name, wherever the tunnel leads; the first address is refused, the next is tried.
    let answer = client.send(get("https://shop.example/".to_owned())).await.expect("an answer");
    assert_eq!(answer.body, b"hi");
    assert_eq!(way.asked(), ["CONNECT 1.1.1.1:443 HTTP/1.1", "CONNECT 1.0.0.1:443 HTTP/1.1"]);
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    for (url, expected, asked) in [
        (
            "https://closed.example/",
            "proxy_failed",
            &["CONNECT [2606:4700::1111]:443 HTTP/1.1"][..],
        ),
        ("https://1.0.0.1/", "tls_failed", &["CONNECT 1.0.0.1:443 HTTP/1.1"]),
        ("https://metadata.example/", "address_forbidden", &[]),
        ("https://both.example/", "address_forbidden", &[]),
        ("https://unknown.example/", "name_unresolved", &[]),
        ("https://10.0.0.1/", "url_refused", &[]),
        ("https://shop.example:22/", "url_refused", &[]),
        ("http://shop.example/", "url_refused", &[]),
    ] {
        let failure = client.send(get(url.to_owned())).await.expect_err("no answer");
        assert_eq!(failure.code(), expected, "{url}: {failure}");
        assert_eq!(way.asked(), asked, "{url}");
    }
}

#[tokio::test]
async fn a_proxy_that_resolves_is_given_names() {
    let (host, authorities, _serving) = secure_host().await;
    let way = Way::leading("shop.example:443", host).await;
    let change = |config: &mut Config| {
        config.outbound.certificates = Some(authorities.path().to_owned());
        config.outbound.proxy_resolves = true;
        config.outbound.allow = vec!["10.0.0.0/8".parse().expect("a network")];
    };
    let names = names(&[]);
    let client = behind(way.address, change, Arc::clone(&names));
    let answer = client.send(get("https://shop.example/".to_owned())).await.expect("an answer");
    assert_eq!(answer.body, b"hi");
    assert_eq!(way.asked(), ["CONNECT shop.example:443 HTTP/1.1"]);
    for (url, expected, asked) in [
        ("https://inside.example/", "proxy_failed", &["CONNECT inside.example:443 HTTP/1.1"][..]),
        ("https://shop.example:22/", "url_refused", &[]),
        ("https://169.254.169.254/", "url_refused", &[]),
        ("https://127.0.0.1/", "url_refused", &[]),
    ] {
        let failure = client.send(get(url.to_owned())).await.expect_err("no answer");
        assert_eq!(failure.code(), expected, "{url}: {failure}");
        assert_eq!(way.asked(), asked, "{url}");
    }
    assert_eq!(names.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_inside_is_called_without_it() {
    let (host, authorities, _serving) = secure_host().await;
    let way = Way::leading("", host).await;
    let change = |config: &mut Config| {
        config.outbound.certificates = Some(authorities.path().to_owned());
        config.outbound.allow = vec!["127.0.0.0/8".parse().expect("a network")];
    };
    let client = behind(way.address, change, names(&[("shop.example", &["127.0.0.1"])]));
    let url = format!("https://shop.example:{}/", host.port());
    assert_eq!(client.send(get(url)).await.expect("an answer").body, b"hi");
    assert!(way.asked().is_empty());
}

#[tokio::test]
async fn a_proxy_that_is_none() {
    let shop = || names(&[("shop.example", &["1.1.1.1"])]);
    let url = || "https://shop.example/".to_owned();
    for answer in ["", "SSH-2.0-x\r\n", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"] {
        let (address, _serving) = super::host(answer).await;
        let failure = behind(address, |_| (), shop()).send(get(url())).await.expect_err("none");
        assert_eq!(failure.code(), "proxy_failed", "{answer}");
    }
    let gone = refusing();
    let client = behind(gone.local_addr().expect("an address"), |_| (), shop());
    assert_eq!(client.send(get(url())).await.expect_err("none").code(), "proxy_failed");
    // One that hangs is given up when a connection should long be made.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let client = behind(listener.local_addr().expect("an address"), |_| (), shop());
    let mut sending = Box::pin(client.send(get(url())));
    let _held = tokio::select! {
        _ = &mut sending => panic!("nobody answered"),
        accepted = listener.accept() => accepted.expect("a connection"),
    };
    tokio::time::pause();
    assert_eq!(sending.await.expect_err("no answer").code(), "connect_timed_out");
}
