//! The key in a PKCS#11 token (SoftHSM) and in a TPM (swtpm). The daemon must be built with both cargo features.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::ensure;
use world::until;

use super::*;

/// Makes a SoftHSM token named `store` in `directory`, and the PIN's file beside it. Gives the settings for both.
fn make_token(directory: &Path) -> Result<String> {
    let (tokens, conf, pin) =
        (directory.join("tokens"), directory.join("softhsm2.conf"), directory.join("pin"));
    fs::create_dir(&tokens)?;
    fs::write(&conf, format!("directories.tokendir = {}\n", tokens.display()))?;
    fs::write(&pin, "1234\n")?;
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o600))?;
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "store", "--pin", "1234", "--so-pin", "5678"])
        .env("SOFTHSM2_CONF", &conf)
        .stdout(Stdio::null())
        .status()?;
    ensure!(made.success(), "softhsm2-util made no token");
    Ok(format!(
        "store = \"pkcs11\"\nmodule = \"/usr/lib/softhsm/libsofthsm2.so\"\ntoken = \"store\"\npin_file = \"{}\"\n",
        pin.display()
    ))
}

#[tokio::test]
async fn a_key_in_a_token_connects_and_is_never_replaced() -> Result<()> {
    let (server, place) = (Server::start().await?, tempfile::tempdir()?);
    let mut daemon = daemon(&server, &make_token(place.path())?)?;
    let conf = place.path().join("softhsm2.conf").to_str().context("a path")?.to_owned();
    daemon.environment.push(("SOFTHSM2_CONF".to_owned(), conf));
    connect(&mut daemon).await?;
    let key = thumbprint(&daemon).await?;
    assert!(!daemon.path("state").join("key-a.pem").exists());
    assert_eq!(home(&daemon).await?, ("pkcs11".to_owned(), None));
    daemon.kill()?;
    daemon.resume().await?;
    assert_works(&daemon).await?;
    assert_eq!(thumbprint(&daemon).await?, key);

    // The token is pulled out. When it is back, the daemon finds it by itself.
    let (tokens, drawer) = (place.path().join("tokens"), place.path().join("drawer"));
    daemon.stop().await?;
    fs::rename(&tokens, &drawer)?;
    fs::create_dir(&tokens)?;
    daemon.resume().await?;
    assert_degraded(&daemon, "is not there").await?;
    daemon.stop().await?;
    fs::remove_dir_all(&tokens)?;
    fs::rename(&drawer, &tokens)?;
    daemon.resume().await?;
    assert_works(&daemon).await?;
    assert_eq!(thumbprint(&daemon).await?, key);
    Ok(())
}

/// A TPM in software. It ends with the test.
struct Tpm(Child);

impl Tpm {
    async fn start(state: &Path, port: u16) -> Result<Self> {
        let at = |port: u16| format!("type=tcp,bindaddr=127.0.0.1,port={port}");
        let tpm = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", state.display())])
            .args(["--server", &format!("{},disconnect", at(port)), "--ctrl", &at(port + 1)])
            .stdin(Stdio::null())
            .spawn()
            .context("swtpm is installed")?;
        let tpm = Self(tpm);
        until("swtpm to begin", || async {
            TcpStream::connect(("127.0.0.1", port + 1)).is_ok().then_some(())
        })
        .await?;
        Ok(tpm)
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two ports side by side that nobody uses, below those that the system gives away by itself.
fn free_ports() -> Result<u16> {
    (10_000..12_000)
        .step_by(2)
        .map(|port| port + u16::try_from(std::process::id() % 900).unwrap_or(0) * 2)
        .find(|port| {
            [*port, port + 1].iter().all(|it| TcpListener::bind(("127.0.0.1", *it)).is_ok())
        })
        .context("free ports")
}

#[tokio::test]
async fn a_key_of_a_tpm_connects_and_outlives_its_absence() -> Result<()> {
    let (server, place, port) = (Server::start().await?, tempfile::tempdir()?, free_ports()?);
    let tpm = Tpm::start(place.path(), port).await?;
    let settings = format!("store = \"tpm\"\ntcti = \"swtpm:host=127.0.0.1,port={port}\"\n");
    let mut daemon = daemon(&server, &settings)?;
    connect(&mut daemon).await?;
    let key = thumbprint(&daemon).await?;

    assert_eq!(home(&daemon).await?, ("tpm".to_owned(), None));

    // It goes while the daemon works, and comes back.
    drop(tpm);
    let list = daemon.call(Method::GET, "/v1/api/makepay/payment-links", None).await?;
    assert_eq!((list.status, list.body["code"].as_str()), (503, Some("key_unavailable")));
    let tpm = Tpm::start(place.path(), port).await?;
    assert_works(&daemon).await?;

    // It is not there at the start: the daemon says so, and goes on by itself when it is.
    drop(tpm);
    daemon.kill()?;
    daemon.resume().await?;
    assert_degraded(&daemon, "is not there").await?;
    let tpm = Tpm::start(place.path(), port).await?;
    until("the daemon to find the TPM", || async {
        (daemon.state().await.ok()? == "connected").then_some(())
    })
    .await?;
    assert_works(&daemon).await?;
    assert_eq!(thumbprint(&daemon).await?, key);

    // Another TPM cannot unwrap the key, and makes no other.
    drop(tpm);
    daemon.stop().await?;
    let other = tempfile::tempdir()?;
    let tpm = Tpm::start(other.path(), port).await?;
    daemon.resume().await?;
    assert_degraded(&daemon, "is not the one that the key was made in").await?;
    drop(tpm);
    daemon.stop().await?;
    let _tpm = Tpm::start(place.path(), port).await?;
    daemon.resume().await?;
    assert_works(&daemon).await
}

#[tokio::test]
async fn a_change_of_key_takes_it_from_its_file_into_the_token() -> Result<()> {
    let (server, place) = (Server::start().await?, tempfile::tempdir()?);
    let mut daemon = daemon(&server, "")?;
    connect(&mut daemon).await?;
    let (before, file) = (thumbprint(&daemon).await?, daemon.path("state").join("key-a.pem"));

    // With another store in the file, the key in its file goes on being used.
    let settings = make_token(place.path())?;
    let store = fs::read_to_string(daemon.path("store.toml"))?;
    fs::write(daemon.path("store.toml"), store.replace("[key]\n", &format!("[key]\n{settings}")))?;
    let conf = place.path().join("softhsm2.conf").to_str().context("a path")?.to_owned();
    daemon.environment.push(("SOFTHSM2_CONF".to_owned(), conf));
    daemon.stop().await?;
    daemon.resume().await?;
    assert_works(&daemon).await?;
    assert_eq!(thumbprint(&daemon).await?, before);
    assert_eq!(home(&daemon).await?, ("file".to_owned(), Some(false)));

    let changed = daemon.command(&["key", "rotate"])?;
    assert!(changed.status.success(), "{changed:?}");
    assert_works(&daemon).await?;
    assert_eq!(home(&daemon).await?, ("pkcs11".to_owned(), None));
    let after = thumbprint(&daemon).await?;
    assert_ne!(after, before);

    // The former key goes when the new one has renewed the tokens; the new one is found without it.
    daemon.kill()?;
    if file.exists() {
        fs::remove_file(&file)?;
    }
    daemon.resume().await?;
    assert_works(&daemon).await?;
    assert_eq!(thumbprint(&daemon).await?, after);

    // Back into a file no key comes: words, and no new key.
    fs::write(daemon.path("store.toml"), store)?;
    daemon.stop().await?;
    daemon.resume().await?;
    assert_degraded(&daemon, "the key is kept in pkcs11").await
}
