//! A state that was copied beside its original, renamed, or moved; and a copy of the site that calls the shop's daemon.

mod moved;
mod separate;
mod site;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use world::{
    Behaviour, Browser, Daemon, Decision, Front, LocalAnswer, Server, Settings, Step, until,
};

const SITE: &str = "http://127.0.0.1:18086";

const LINKS: &str = "/v1/api/makepay/payment-links";

/// Access tokens that live two seconds: they are renewed every second.
const SHORT: &[(&str, &str)] = &[("COUNTERFOIL_LIFETIMES_ACCESS_TOKEN", "2")];

/// A connected store, and a front that sees all that is sent to the server.
struct Scene {
    server: Server,
    front: Front,
    browser: Browser,
    original: Daemon,
}

impl Scene {
    async fn set(settings: &[(&str, &str)]) -> Result<Self> {
        let mut scene = Self::without_connection(settings).await?;
        let connected = scene.original.connect(&mut scene.browser, Decision::Approve).await?;
        assert_eq!(connected.status, 200, "{connected:?}");
        Ok(scene)
    }

    async fn without_connection(settings: &[(&str, &str)]) -> Result<Self> {
        let front = Front::listen().await?;
        let server = Server::start_behind(&front, settings).await?;
        let local = Settings { local: "proofs = true", ..Settings::default() };
        let original = Daemon::start_with(&front.issuer(), SITE, local).await?;
        Ok(Self { server, front, browser: Browser::new()?, original })
    }

    /// A daemon elsewhere on the machine, with no state yet, that was not started.
    fn elsewhere(&self, site_url: &str) -> Result<Daemon> {
        Daemon::prepare(tempfile::tempdir()?, &self.front.issuer(), site_url, "proofs = true")
    }

    /// A daemon that was not started, with a copy of the original's state.
    fn copy(&self) -> Result<Daemon> {
        let copy = self.elsewhere(SITE)?;
        let done = Command::new("cp")
            .arg("-a")
            .args([self.original.path("state"), copy.path("state")])
            .status()?;
        ensure!(done.success(), "cp -a");
        Ok(copy)
    }

    /// A call whose token the API refuses once, so that the daemon has to renew it.
    async fn call_with_refresh(&self, daemon: &Daemon) -> Result<LocalAnswer> {
        self.front.script(Step::Api, &[Behaviour::RejectToken]);
        let before = self.front.count(Step::Refresh);
        let answer = daemon.call(Method::GET, LINKS, None).await?;
        ensure!(self.front.count(Step::Refresh) == before + 1, "no renewal: {answer:?}");
        Ok(answer)
    }

    /// The installations that the server knows.
    fn installations(&self) -> Result<Vec<Value>> {
        let list = self.server.operate(&["installation", "list"], None)?;
        Ok(list["installations"].as_array().context("a list")?.clone())
    }
}

async fn status(daemon: &Daemon) -> Result<Value> {
    Ok(daemon.call(Method::GET, "/v1/status", None).await?.body)
}

/// What a connection keeps, whatever happens to copies of it.
async fn standing(daemon: &Daemon) -> Result<Value> {
    let status = status(daemon).await?;
    let kept =
        ["state", "thumbprint", "client_id", "company", "grant_id", "recoveries", "safe_mode"];
    Ok(kept.iter().map(|member| ((*member).to_owned(), status[*member].clone())).collect())
}

/// The codes of what speaks for a copy.
fn evidence(status: &Value) -> Vec<&str> {
    let signs = status["safe_mode"]["evidence"].as_array();
    signs.into_iter().flatten().filter_map(|sign| sign["code"].as_str()).collect()
}

/// Whether this machine has an id, without which a daemon cannot know that it is still on the same one.
fn machine_is_known() -> bool {
    ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().any(|file| {
        let id = fs::read_to_string(file).unwrap_or_default();
        id.trim().len() == 32 && id.trim().bytes().any(|b| b != b'0')
    })
}

/// What a command said, on both of its outputs.
fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// The files of a state directory that belong to the connection. What a daemon notes of its own start is none of them:
/// the history, and where it listens.
fn content(state: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(state)? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
        if path.is_file() && name != "socket" && !name.starts_with("history.db") {
            files.push((name.into(), fs::read(&path)?));
        }
    }
    Ok(files)
}

#[tokio::test]
async fn a_copy_does_nothing_and_the_original_goes_on() -> Result<()> {
    let mut scene = Scene::set(SHORT).await?;
    let before = standing(&scene.original).await?;
    scene.original.stop().await?;
    let mut copy = scene.copy()?;
    let copied = content(&copy.path("state"))?;
    let names: Vec<_> = copied.iter().map(|(name, _)| name).collect();
    assert!(names.contains(&&PathBuf::from("journal.db")), "{names:?}");
    assert!(names.len() > 1, "no key: {names:?}");

    // While the original is stopped, nobody but the copy can be what the front sees. Its token is as good as over.
    let _ = scene.front.take_seen();
    copy.resume().await?;
    let seen = status(&copy).await?;
    assert_eq!(seen["state"], "safe_mode", "{seen}");
    let mut expected = vec![if machine_is_known() { "original_there" } else { "machine_unknown" }];
    expected.extend(["copied_file", "other_directory"]);
    assert_eq!(evidence(&seen), expected, "{seen}");

    let url = scene.front.issuer() + "/api/partner/v1/makepay/payment-links";
    let proof = json!({ "method": "GET", "url": url });
    for (method, path, body) in [
        ("POST", "/v1/connect", Some(json!({}))),
        ("POST", "/v1/callback", Some(json!({ "query": "code=a&state=b" }))),
        ("POST", "/v1/proofs", Some(proof)),
        ("POST", "/v1/ownership", Some(json!({ "nonce": "a", "client_id": "b" }))),
        ("GET", LINKS, None),
        ("POST", LINKS, Some(json!({ "payload": {} }))),
        ("POST", "/v1/disconnect", Some(json!({}))),
        ("POST", "/v1/disconnect", Some(json!({ "forget": true }))),
    ] {
        let answer = copy.call(method.parse()?, path, body).await?;
        let refusal = (answer.status, answer.body["code"].as_str());
        assert_eq!(refusal, (409, Some("safe_mode")), "{method} {path}: {answer:?}");
    }
    for command in [
        &["connect"][..],
        &["disconnect"],
        &["disconnect", "--forget"],
        &["key", "rotate"],
        &["webhook", "rotate"],
    ] {
        let output = copy.command(command)?;
        assert!(!output.status.success(), "{command:?}");
        assert!(said(&output).contains("(safe_mode)"), "{command:?}: {}", said(&output));
    }
    // Nobody is there to agree.
    for command in ["adopt", "separate"] {
        assert!(!copy.command(&[command])?.status.success(), "{command}");
    }
    assert!(copy.command(&["reload"])?.status.success());
    assert_eq!(status(&copy).await?["state"], "safe_mode");
    let sent = scene.front.take_seen();
    assert!(sent.is_empty(), "the copy sent {sent:?}");

    // The original renews, more than once, and nothing was taken from it.
    scene.original.resume().await?;
    for _ in 0..2 {
        let renews = status(&scene.original).await?["token"]["renews_at"].clone();
        until("a renewal", || async {
            (status(&scene.original).await.ok()?["token"]["renews_at"] != renews).then_some(())
        })
        .await?;
    }
    assert_eq!(standing(&scene.original).await?, before);
    // A token of two seconds may have ended when the API sees it, on a machine that is busy.
    until("a call", || async {
        let called = scene.original.call(Method::GET, LINKS, None).await.ok()?;
        (called.status == 200).then_some(())
    })
    .await?;
    assert_eq!(scene.installations()?.len(), 1);

    // A second start says the same, and none has changed the state.
    copy.stop().await?;
    copy.resume().await?;
    assert_eq!(evidence(&status(&copy).await?), expected);
    copy.stop().await?;
    for (name, before) in &copied {
        let after = fs::read(copy.path("state").join(name))?;
        assert!(after == *before, "the copy has changed {}", name.display());
    }
    Ok(())
}
