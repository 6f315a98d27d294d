//! A command for a copy of the store never reaches the original's daemon.

use std::fs;

use anyhow::{Context as _, Result};
use world::Daemon;

const SITE: &str = "http://127.0.0.1:18086";

/// Nobody listens there.
const ISSUER: &str = "http://127.0.0.1:9";

/// Everything that changes something.
const ORDERS: [&[&str]; 8] = [
    &["adopt", "--yes"],
    &["connect"],
    &["disconnect"],
    &["key", "rotate"],
    &["log", "debug"],
    &["reload"],
    &["separate", "--abandon", "--yes"],
    &["webhook", "rotate"],
];

#[tokio::test]
async fn an_order_for_a_copy_is_refused_by_name() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let daemon_dir = tempfile::tempdir()?;
    let socket = daemon_dir.path().join("api.sock");
    let local = format!("socket = {socket:?}");
    let mut daemon = Daemon::prepare(daemon_dir, ISSUER, SITE, &local)?;
    daemon.resume().await?;

    // A copy of the store's file, which still names the original's socket, and a copied state.
    let (file, state) = (directory.path().join("store.toml"), directory.path().join("state"));
    fs::copy(daemon.path("store.toml"), &file)?;
    fs::create_dir(&state)?;
    let (file, state) = (file.to_str().context("a name")?, state.to_str().context("a name")?);
    let (original, socket) = (daemon.path("store.toml"), daemon.socket());
    let original = original.to_str().context("a name")?;
    let socket = socket.to_str().context("a name")?;
    let status = || async {
        let status = daemon.owners_call(reqwest::Method::GET, "/v1/admin/status", None).await?.body;
        anyhow::Ok([
            status["state"].clone(),
            status["thumbprint"].clone(),
            status["daemon"]["log"].clone(),
        ])
    };
    let before = status().await?;
    for order in ORDERS {
        for (place, named, told) in [
            (vec!["--config", file], file, original),
            (vec!["--socket", socket, "--config", file], file, original),
            (vec!["--socket", socket, "--state-dir", state], state, "state"),
        ] {
            let output = Daemon::bare(&[order, &place].concat())?;
            let said = String::from_utf8(output.stderr)?;
            assert_eq!(output.status.code(), Some(1), "{order:?} {place:?}: {said}");
            assert!(
                said.contains("nothing is done: the daemon on "),
                "{order:?} {place:?}: {said}"
            );
            assert!(said.contains(named) && said.contains(told), "{order:?} {place:?}: {said}");
        }
    }
    assert_eq!(status().await?, before, "nothing was done");

    // Who names the socket and nothing else means whoever answers there; so does who names all of it.
    let output = Daemon::bare(&["reload", "--socket", socket])?;
    assert!(output.status.success(), "{output:?}");
    let output = daemon.command(&["log", "debug"])?;
    assert!(output.status.success(), "{output:?}");

    // What only asks is answered, and advises commands that find the same daemon.
    let output = Daemon::bare(&["status", "--config", file])?;
    let said = String::from_utf8(output.stdout)?;
    assert!(said.contains(&format!("counterfoild connect --config {file}")), "{said}");
    Ok(())
}

#[tokio::test]
async fn plugins_are_told_no_paths() -> Result<()> {
    let mut daemon = Daemon::prepare(tempfile::tempdir()?, ISSUER, SITE, "")?;
    daemon.resume().await?;
    let get = |path| daemon.call(reqwest::Method::GET, path, None);
    let place = daemon.path("").to_str().context("a name")?.trim_end_matches('/').to_owned();
    let told = get("/v1/status").await?.body.to_string();
    assert!(!told.contains(&place), "{told}");
    daemon.stop().await?;

    // Nor when the state cannot be used, which the owner is told with the file's name.
    let key = daemon.path("state/key-a.pem");
    fs::write(&key, "torn")?;
    daemon.resume().await?;
    let status = daemon.call(reqwest::Method::GET, "/v1/status", None).await?.body;
    assert_eq!(status["state"], "degraded", "{status}");
    let refused = daemon.call(reqwest::Method::GET, "/v1/api/makepay/payment-links", None).await?;
    assert_eq!(refused.body["code"], "degraded", "{refused:?}");
    for told in [status.to_string(), refused.body.to_string()] {
        assert!(!told.contains(&place), "{told}");
    }
    let told = daemon.owners_call(reqwest::Method::GET, "/v1/admin/status", None).await?.body;
    assert!(told["summary"].as_str().is_some_and(|it| it.contains(&place)), "{told}");
    Ok(())
}
