//! Wherever the key lives: the store is connected with it, finds it again, and is never given another.

#[cfg(feature = "devices")]
mod devices;

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::Value;
use world::{Browser, Daemon, Decision, Server};

const SITE: &str = "http://127.0.0.1:18086";

/// A daemon that was never started, with `[key]` settings of its own.
fn daemon(server: &Server, key: &str) -> Result<Daemon> {
    Daemon::prepare(tempfile::tempdir()?, &server.issuer(), SITE, &format!("[key]\n{key}"))
}

/// Starts a daemon and connects its store.
async fn connect(daemon: &mut Daemon) -> Result<()> {
    daemon.resume().await?;
    let connected = daemon.connect(&mut Browser::new()?, Decision::Approve).await?;
    assert_eq!(connected.status, 200, "{connected:?}");
    assert_works(daemon).await
}

/// A forwarded call works, and with it the key.
async fn assert_works(daemon: &Daemon) -> Result<()> {
    let list = daemon.call(Method::GET, "/v1/api/makepay/payment-links", None).await?;
    assert_eq!(list.status, 200, "{list:?}\n{}", daemon.log()?);
    Ok(())
}

async fn thumbprint(daemon: &Daemon) -> Result<String> {
    let status = daemon.call(Method::GET, "/v1/status", None).await?.body;
    Ok(status["thumbprint"].as_str().context("a thumbprint")?.to_owned())
}

/// What status says about where the key lives.
async fn home(daemon: &Daemon) -> Result<(String, Option<bool>)> {
    let key = daemon.call(Method::GET, "/v1/status", None).await?.body["key"].take();
    Ok((key["store"].as_str().context("a store")?.to_owned(), key["sealed"].as_bool()))
}

/// The daemon cannot work, and says why in words that contain `words`.
async fn assert_degraded(daemon: &Daemon, words: &str) -> Result<()> {
    let status = daemon.owners_call(Method::GET, "/v1/admin/status", None).await?.body;
    assert_eq!(status["state"], "degraded", "{status}");
    let summary = status["summary"].as_str().unwrap_or_default();
    assert!(summary.contains(words), "{summary}");
    let list = daemon.call(Method::GET, "/v1/api/makepay/payment-links", None).await?;
    assert_eq!(list.body["code"], "degraded", "{list:?}");
    Ok(())
}

#[tokio::test]
async fn a_sealed_key_needs_its_credential_and_keeps_the_connection() -> Result<()> {
    let server = Server::start().await?;
    let mut daemon = daemon(&server, "")?;
    connect(&mut daemon).await?;
    let key = thumbprint(&daemon).await?;
    let file = daemon.path("state").join("key-a.pem");
    assert!(fs::read_to_string(&file)?.contains("PRIVATE KEY"));
    let tells_tokens = |daemon: &Daemon| -> Result<bool> {
        let journal = fs::read(daemon.path("state").join("journal.db"))?;
        Ok(journal.windows(7).any(|window| window == b"mco_rt_"))
    };
    assert!(tells_tokens(&daemon)?);
    assert_eq!(home(&daemon).await?, ("file".to_owned(), Some(false)));

    // A credential appears, as systemd would give it: the plain key is gone, the connection stays.
    let credentials = daemon.path("credentials");
    fs::create_dir(&credentials)?;
    let credential = credentials.join("state-key");
    fs::write(&credential, "c2VhbGVkIHdpdGggdGhpcyBhbmQgd2l0aCBub3RoaW5nIGVsc2U\n")?;
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o400))?;
    daemon.environment.push((
        "CREDENTIALS_DIRECTORY".to_owned(),
        credentials.to_str().context("a path")?.to_owned(),
    ));
    daemon.kill()?;
    daemon.resume().await?;
    assert_works(&daemon).await?;
    assert_eq!(thumbprint(&daemon).await?, key);
    let sealed = fs::read_to_string(&file)?;
    assert!(sealed.starts_with("counterfoil sealed key\n") && !sealed.contains("PRIVATE KEY"));
    assert!(!tells_tokens(&daemon)?);
    assert_eq!(home(&daemon).await?, ("file".to_owned(), Some(true)));

    // Without it, and with another one, words and no new key.
    let environment = std::mem::take(&mut daemon.environment);
    daemon.stop().await?;
    daemon.resume().await?;
    assert_degraded(&daemon, "is sealed").await?;
    daemon.environment = environment;
    let right = fs::read(&credential)?;
    fs::remove_file(&credential)?;
    fs::write(&credential, [b'x'; 48])?;
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o400))?;
    daemon.stop().await?;
    daemon.resume().await?;
    assert_degraded(&daemon, "another credential").await?;
    assert_eq!(fs::read_to_string(&file)?, sealed);

    fs::remove_file(&credential)?;
    fs::write(&credential, right)?;
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o400))?;
    daemon.stop().await?;
    daemon.resume().await?;
    assert_works(&daemon).await?;
    assert_eq!(thumbprint(&daemon).await?, key);
    Ok(())
}

#[tokio::test]
async fn a_key_whose_file_is_lost_is_told_while_it_can_be_saved_and_another_takes_its_place()
-> Result<()> {
    let server = Server::start().await?;
    let mut daemon = daemon(&server, "")?;
    connect(&mut daemon).await?;
    let (lost, elsewhere) = (daemon.path("state").join("key-a.pem"), daemon.path("elsewhere"));
    let finding = |daemon: &Daemon| -> Result<String> {
        let doctor: Value = serde_json::from_slice(&daemon.command(&["doctor", "--json"])?.stdout)?;
        let mut findings = doctor["findings"].as_array().context("findings")?.iter();
        let key = findings.find(|finding| finding["check"] == "key").context("of the key")?;
        Ok(key["level"].as_str().context("a level")?.to_owned())
    };
    let status = |daemon: &Daemon| -> Result<(Option<i32>, String)> {
        let output = daemon.command(&["status"])?;
        Ok((output.status.code(), String::from_utf8(output.stdout)?))
    };
    assert_eq!(finding(&daemon)?, "ok");
    assert_eq!(status(&daemon)?.0, Some(0));
    fs::rename(&lost, &elsewhere)?;
    assert_eq!(finding(&daemon)?, "problem");
    let (code, said) = status(&daemon)?;
    assert_eq!(code, Some(5), "{said}");
    let place = lost.display();
    for words in [
        "The file of this store's key is gone: the daemon works with the key in its memory",
        "\nDo not restart the daemon yet. Put the file back: ",
        &format!("{place}; if it is lost, "),
        "counterfoild key rotate",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let guests = daemon.call(Method::GET, "/v1/status", None).await?.body;
    assert_eq!(
        (&guests["condition"], &guests["key"]["file"]),
        (&"impaired".into(), &"gone".into())
    );
    assert!(!guests.to_string().contains(&place.to_string()), "{guests}");
    let next_step = guests["next_step"].as_str().unwrap_or_default();
    assert!(next_step.starts_with("Ask whoever runs the store's machine"), "{next_step}");
    assert_works(&daemon).await?;
    fs::rename(&elsewhere, &lost)?;
    assert_eq!(finding(&daemon)?, "ok", "put back, it is the same key");
    assert_eq!(status(&daemon)?.0, Some(0));

    // Lost for good: what lies there is no key. The one in memory vouches for another.
    fs::write(&lost, "torn")?;
    fs::set_permissions(&lost, fs::Permissions::from_mode(0o600))?;
    let (code, said) = status(&daemon)?;
    assert!(code == Some(5) && said.contains("is damaged"), "{said}");
    let before = thumbprint(&daemon).await?;
    let changed = daemon.command(&["key", "rotate"])?;
    assert!(changed.status.success(), "{changed:?}\n{}", daemon.log()?);
    assert_eq!(finding(&daemon)?, "ok");
    assert_eq!(status(&daemon)?.0, Some(0));
    daemon.stop().await?;
    daemon.resume().await?;
    assert_ne!(thumbprint(&daemon).await?, before);
    assert_works(&daemon).await
}
