//! Against real servers of this process: plain, TLS and a proxy.

mod lost;
mod proxied;
mod servers;
mod trusted;

use tokio::net::TcpListener;

use self::servers::{Count, serve_plain};
use super::*;

/// A store whose server is at `issuer`, with more settings.
fn store(issuer: &str, more: &str) -> String {
    format!(
        "platform = \"wordpress\"\nsite_url = \"https://shop.example\"\n\
         redirect_uri = \"https://shop.example/callback\"\nissuer = \"{issuer}\"\n{more}"
    )
}

fn client(config: &Config) -> Client {
    builder(config, |_| None).expect("a good store").build().expect("a client")
}

#[tokio::test]
async fn a_name_with_both_kinds_of_addresses_is_reached_by_either() {
    let config = Config::parse(&store("http://localhost:9", "")).expect("a store");
    for here in ["[::1]:0", "127.0.0.1:0"] {
        let listener = TcpListener::bind(here).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = tokio::spawn(serve_plain(listener, Count::default()));
        for order in [["[::1]", "127.0.0.1"], ["127.0.0.1", "[::1]"]] {
            let addresses =
                order.map(|address| format!("{address}:{port}").parse().expect("an address"));
            let client = builder(&config, |_| None)
                .expect("a good store")
                .resolve_to_addrs("both.test", &addresses)
                .build()
                .expect("a client");
            let answer = client.get(format!("http://both.test:{port}/")).send().await;
            assert_eq!(answer.expect(here).status(), 200, "{order:?}");
        }
        server.abort();
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Count::default();
    tokio::spawn(serve_plain(listener, count.clone()));
    let client = client(&Config::parse(&store(&url, "")).expect("a store"));
    for _ in 0..3 {
        let answer = client.get(&url).send().await.expect("an answer");
        assert_eq!(answer.text().await.expect("a body"), "ok");
    }
    assert_eq!(count.get(), 1);
}
