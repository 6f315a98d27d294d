//! What is secret stands in the journal and in the key file, and nowhere else that anybody may look at.

use std::{collections::BTreeMap, os::unix::process::ExitStatusExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use world::{Behaviour, Decision, Forgery, Place, Secrets, Step, free_port};

use crate::{shop::Shop, stage::Stage};

/// The files of the state directory that hold secrets.
const VAULTS: [&str; 3] = ["journal.db", "key-a.pem", "key-b.pem"];

/// What the command line tells.
const COMMANDS: [&[&str]; 6] = [
    &["status"],
    &["status", "--json"],
    &["events"],
    &["events", "--json"],
    &["doctor"],
    &["doctor", "--json"],
];

/// Kinds of secrets of which at least one must have passed, so that the search means something.
const KINDS: [&str; 8] = [
    "a proof",
    "an access token",
    "access_token",
    "refresh_token",
    "code",
    "code_verifier",
    "state",
    "registrationId",
];

/// Texts by place.
type Places = BTreeMap<String, Vec<u8>>;

// A second thread for the front, which the doctor asks while this one waits for a command.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_secret_is_where_it_does_not_belong() -> Result<()> {
    let mut stage = Stage::set().await?;
    let mut shop = stage.shop()?;
    let metrics = free_port()?;
    let port = format!("127.0.0.1:{}", free_port()?);
    shop.daemon.configure(&format!("metrics_listen = {metrics}\ntcp = \"{port}\"\n"))?;
    shop.daemon.arguments = ["--log", "debug"].map(str::to_owned).to_vec();
    shop.daemon.wrapper = ["prlimit", "--core=unlimited"].map(str::to_owned).to_vec();
    shop.daemon.environment.clear();
    shop.daemon.resume().await?;

    let mut secrets = go_through_everything(&mut stage, &mut shop).await?;
    secrets.extend(secrets_of_the_key(&shop.daemon.path("state"))?);
    secrets.insert(("the bind", "canary-of-the-bind".to_owned()));
    secrets.extend(go_through_the_port(&stage, &shop, &port).await?);
    for kind in KINDS {
        ensure!(secrets.iter().any(|(it, _)| *it == kind), "none passed: {kind}");
    }

    let places = look_everywhere(&mut shop, metrics).await?;
    for (place, text) in &places {
        for (kind, secret) in &secrets {
            ensure!(!has(text, secret), "{kind} stands in {place}");
        }
        for prefix in ["mco_rt_", "mco_code_", "eyJ0eXAiOiJkcG9wK2p3dCI", "PRIVATE KEY"] {
            ensure!(!has(text, prefix), "{prefix}… stands in {place}");
        }
    }
    // The search finds what is there: the tokens are in the journal.
    let journal = std::fs::read(shop.daemon.path("state/journal.db"))?;
    ensure!(secrets.iter().any(|(_, secret)| has(&journal, secret)), "the search finds nothing");
    Ok(())
}

/// Everything that a daemon does, well and badly.
async fn go_through_everything(stage: &mut Stage, shop: &mut Shop) -> Result<Secrets> {
    let bind = json!({ "bind": "canary-of-the-bind" });
    let begun = shop.daemon.call(Method::POST, "/v1/connect", Some(bind)).await?;
    let url = begun.body["authorization_url"].as_str().context("an address")?.to_owned();
    let landed = stage.browser.decide(&url, Decision::Approve).await?;
    let query = landed.split_once('?').map_or("", |(_, query)| query);
    let mut secrets: Secrets = url_secrets(query);
    for wrong in ["another", "canary-of-the-bind"] {
        let body = json!({ "query": query, "bind": wrong });
        shop.daemon.call(Method::POST, "/v1/callback", Some(body)).await?;
    }
    shop.note().await?;
    for (step, behaviour) in [
        (Step::Refresh, Behaviour::Html),
        (Step::Refresh, Behaviour::WrongJson),
        (Step::Refresh, Behaviour::Truncate),
        (Step::Refresh, Behaviour::Challenge),
        (Step::Refresh, Behaviour::Forge(Forgery::Signature)),
        (Step::Jwks, Behaviour::Html),
        (Step::Api, Behaviour::LoseAnswer),
        (Step::Api, Behaviour::Redirect),
    ] {
        stage.front.script(step, &[behaviour]);
        let _ = shop.call_with_refresh(stage).await;
        shop.restart(stage).await?;
    }
    shop.is_whole(stage).await?;
    stage.front.script(Step::Reset, &[Behaviour::Refuse(500), Behaviour::Html]);
    shop.daemon.call(Method::POST, "/v1/disconnect", Some(json!({}))).await?;
    stage.front.be_honest();
    shop.restart(stage).await?;
    shop.reach(&["disconnected"]).await?;
    shop.daemon.connect(&mut stage.browser, Decision::Deny).await?;
    stage.connect(shop).await?;
    secrets.extend(stage.front.secrets());
    Ok(secrets)
}

/// Everything that happens at the port; the bearers that were shown there.
async fn go_through_the_port(stage: &Stage, shop: &Shop, port: &str) -> Result<Secrets> {
    let file = std::fs::read_to_string(shop.daemon.path("tcp-token"))?;
    let line = file.lines().find(|line| !line.starts_with('#')).context("a line")?;
    let (plugin, good) = line.split_once(' ').context("a name and a token")?;
    let wrong = "canary-of-a-bearer-that-nobody-has-been-given";
    let port = Place::Port(port.to_owned());
    for (client, bearer, path, status) in [
        (plugin, good, "/v1/status", 200),
        (plugin, good, "/v1/api/makepay/payment-links", 200),
        (plugin, good, "/v1/nowhere", 404),
        ("another", good, "/v1/status", 403),
        (plugin, wrong, "/v1/status", 401),
        (plugin, wrong, "/v1/api/makepay/payment-links", 401),
    ] {
        let answer = port
            .say(format!(
                "GET {path} HTTP/1.1\r\nHost: localhost\r\nCounterfoil-Client: {client}/1.0\r\n\
                 Authorization: Bearer {bearer}\r\nConnection: close\r\n\r\n"
            ))
            .await?;
        ensure!(answer.status() == status, "{path} for {client}: {}", answer.text());
        ensure!(!answer.text().contains(bearer), "{path} answers the bearer");
    }
    shop.daemon.reload()?;
    let sent = stage.front.secrets();
    ensure!(!sent.iter().any(|(_, it)| it.contains(good)), "the bearer went to the platform");
    Ok([good, wrong].map(|bearer| ("a bearer", bearer.to_owned())).into())
}

/// Code and state of a callback.
fn url_secrets(query: &str) -> Secrets {
    let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
    parameters
        .filter_map(|(name, value)| {
            let kind = ["code", "state"].into_iter().find(|kind| *kind == name)?;
            Some((kind, value.to_owned()))
        })
        .collect()
}

/// The lines of the key files, as they stand there.
fn secrets_of_the_key(state: &Path) -> Result<Secrets> {
    let mut secrets = Secrets::new();
    for name in ["key-a.pem", "key-b.pem"] {
        let Ok(text) = std::fs::read_to_string(state.join(name)) else { continue };
        let lines = text.lines().filter(|line| !line.starts_with("-----") && line.len() > 16);
        secrets.extend(lines.map(|line| ("the key", line.to_owned())));
    }
    ensure!(!secrets.is_empty(), "no key in {}", state.display());
    Ok(secrets)
}

/// Every output of the daemon, and what the system shows of it; its end is an attempt at a core.
async fn look_everywhere(shop: &mut Shop, metrics: u16) -> Result<Places> {
    let mut places = Places::new();
    for command in COMMANDS {
        let output = shop.daemon.command(command)?;
        places.insert(command.join(" "), [output.stdout, output.stderr].concat());
    }
    let bundle = shop.daemon.path("bundle");
    let output = shop.daemon.command(&["support-bundle", &bundle.display().to_string()])?;
    ensure!(output.status.success(), "no bundle: {output:?}");
    places.insert("support-bundle".to_owned(), [output.stdout, output.stderr].concat());
    places.insert("the bundle".to_owned(), std::fs::read(&bundle)?);
    places.insert("status".to_owned(), shop.status().await?.to_string().into_bytes());
    let url = format!("http://127.0.0.1:{metrics}/metrics");
    places.insert("metrics".to_owned(), reqwest::get(url).await?.bytes().await?.to_vec());
    let pid = shop.daemon.pid();
    for file in ["cmdline", "environ", "status", "limits"] {
        // What only root may read is read here if this is root.
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        if file == "limits" {
            let limits = String::from_utf8_lossy(&text).into_owned();
            let core = limits.lines().find(|line| line.starts_with("Max core file size"));
            let numbers: Vec<_> = core.context("a limit")?.split_whitespace().skip(4).collect();
            ensure!(numbers.starts_with(&["0", "0"]), "the core limit: {core:?}");
        }
        places.insert(format!("/proc/…/{file}"), text);
    }
    let ended = shop.daemon.signal("ABRT").await?;
    ensure!(ended.signal().is_some() && !ended.core_dumped(), "{ended:?}");
    places.insert("the log".to_owned(), shop.daemon.log()?.into_bytes());
    for entry in std::fs::read_dir(shop.daemon.path("state"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && !VAULTS.contains(&&*name) {
            places.insert(name, std::fs::read(path)?);
        }
    }
    for entry in std::fs::read_dir(shop.daemon.path(""))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(!name.starts_with("core"), "a core was left: {name}");
    }
    Ok(places)
}

fn has(text: &[u8], what: &str) -> bool {
    text.windows(what.len()).any(|window| window == what.as_bytes())
}
