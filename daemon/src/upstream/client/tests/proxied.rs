//! Through whom a server is called.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tokio::net::TcpListener;

use super::{
    super::super::failure,
    servers::{Heads, serve_proxy},
    trusted::{authority, for_name, read, start},
    *,
};
use crate::upstream::Unanswered;

/// `ada:s3cret` as the proxy must see it.
const AUTHORIZATION: &str = "YWRhOnMzY3JldA==";

/// Starts a proxy; answers its URL and what it will have been asked.
async fn proxy(wanted: &'static str) -> (String, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let heads = Heads::default();
    tokio::spawn(serve_proxy(listener, wanted, heads.clone()));
    (url, heads)
}

fn credentials(dir: &Path, text: &str) -> String {
    let file = dir.join("proxy");
    fs::write(&file, text).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
    format!("proxy_credentials_file = \"{}\"", file.display())
}

fn asked(heads: &Heads) -> Vec<String> {
    std::mem::take(&mut *heads.lock().expect("unbroken"))
}

#[tokio::test]
async fn a_named_proxy_tunnels_tls_and_sees_none_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let ours = authority("ours");
    let url = start(for_name("localhost"), &ours).await;
    let (proxy, heads) = proxy(AUTHORIZATION).await;
    let good = credentials(dir.path(), "ada:s3cret\n");
    let more = format!("proxy = \"{proxy}\"\n{good}");
    let config = read(dir.path(), &url, &ours.pem(), &more);
    let answer = client(&config).get(format!("{url}/secret?path")).send().await.expect("through");
    assert_eq!(answer.status(), 200);
    let seen = asked(&heads);
    let target = url.strip_prefix("https://").expect("https");
    assert!(seen[0].starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")), "{seen:?}");
    assert!(!seen.concat().contains("secret?path"), "{seen:?}");

    credentials(dir.path(), "ada:wrong");
    let config = read(dir.path(), &url, &ours.pem(), &more);
    let error = client(&config).get(&url).send().await.expect_err("refused");
    let Unanswered::Proxy(why) = failure::of(&error) else { panic!("{error:?}") };
    assert_eq!(why, "proxy authorization required");
}

#[tokio::test]
async fn the_environment_is_asked_only_when_the_file_says_so() {
    let (proxy, heads) = proxy("").await;
    let dir = tempfile::tempdir().expect("a directory");
    let ours = authority("ours");
    let url = start(for_name("localhost"), &ours).await;
    for (setting, no_proxy, through) in [
        ("", "", false),
        ("proxy = \"system\"", "", true),
        ("proxy = \"system\"", "elsewhere.example", true),
        ("proxy = \"system\"", "elsewhere.example, localhost", false),
    ] {
        let config = read(dir.path(), &url, &ours.pem(), setting);
        let environment = |name: &str| match name {
            "HTTPS_PROXY" => Some(proxy.clone()),
            "NO_PROXY" => Some(no_proxy.to_owned()),
            _ => None,
        };
        let client = builder(&config, environment).expect("good").build().expect("a client");
        assert_eq!(client.get(&url).send().await.expect("an answer").status(), 200);
        assert_eq!(!asked(&heads).is_empty(), through, "{setting} {no_proxy}");
    }
}

#[tokio::test]
async fn plain_calls_go_through_a_named_proxy_too() {
    let (proxy, heads) = proxy("").await;
    let more = format!("proxy = \"{proxy}\"");
    let config = Config::parse(&store("http://localhost:9", &more)).expect("a store");
    let answer = client(&config).get("http://localhost:9/x").send().await.expect("through");
    assert_eq!(answer.status(), 200);
    assert!(asked(&heads)[0].starts_with("GET http://localhost:9/x HTTP/1.1\r\n"));
}
