//! Of two keys exactly one is the installation's, whatever comes between them, and what was said of it is true.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use world::{LocalAnswer, Seen, Step, until};

use crate::{shop::Shop, stage::Stage};

/// Asks for another key; `None` if the daemon went away.
pub(crate) async fn ask(shop: &Shop) -> Option<LocalAnswer> {
    shop.daemon.owners_call(Method::POST, "/v1/admin/key/rotate", Some(json!({}))).await.ok()
}

/// Judges a rotation, with what the server's front saw of it until now. Only a lie may cost the tokens.
pub(crate) async fn was_true(
    stage: &Stage,
    shop: &mut Shop,
    told: Option<LocalAnswer>,
    mut seen: Vec<Seen>,
    lied_to: bool,
) -> Result<()> {
    if lied_to {
        shop.reach_a_fresh_token(stage).await?;
    }
    let keys =
        keys_with(shop, "the change of the key to end", |keys| keys["next"]["asking"] != true)
            .await?;
    seen.extend(stage.front.take_seen());
    let mut standing = shop.standing.clone().context("was connected")?;
    let next = the_other(&seen, &standing.thumbprint)?;
    let found = keys["thumbprint"].as_str().context("a key")?.to_owned();
    let rotated = Some(&found) == next.as_ref();
    ensure!(rotated || found == standing.thumbprint, "a third key: {keys}, after {standing:?}");
    if let Some(answer) = told.filter(|it| it.status == 200) {
        let said = &answer.body["thumbprint"];
        ensure!(rotated && *said == *found, "it said {answer:?}, and now there is {keys}");
    }
    let recovered = seen.iter().any(|it| it.step == Step::Recovery);
    ensure!(lied_to || !recovered, "tokens were lost, and only the key saved the connection");

    standing.thumbprint.clone_from(&found);
    shop.standing = Some(standing);
    shop.is_whole(stage).await?;
    for it in stage.front.take_seen() {
        let signer = it.thumbprint.map(|it| it.to_string());
        let signs =
            !matches!(it.step, Step::Api | Step::Refresh) || signer.as_ref() == Some(&found);
        ensure!(signs, "{it:?} is not signed by {found}");
    }
    keys_with(shop, "the former key to go", |keys| keys["former"].is_null()).await?;
    if rotated {
        let files = key_files(shop)?;
        ensure!(files.len() == 1, "the former key is still there: {files:?}");
    }
    if keys["next"].is_null() {
        return Ok(());
    }
    // The server was not seen to take it: asked again, it does.
    ensure!(lied_to, "the next key was left waiting: {keys}");
    let again = ask(shop).await.context("the daemon went away")?;
    let taken = again.status == 200 && again.body["thumbprint"] == keys["next"]["thumbprint"];
    ensure!(taken, "{again:?} for {keys}");
    shop.note().await?;
    shop.is_whole(stage).await
}

/// The one key besides `before` that signed anything; `None` where none did.
fn the_other(seen: &[Seen], before: &str) -> Result<Option<String>> {
    let mut others: Vec<_> = seen
        .iter()
        .filter_map(|it| Some(it.thumbprint?.to_string()))
        .filter(|signer| signer != before)
        .collect();
    others.sort();
    others.dedup();
    ensure!(others.len() <= 1, "more than two keys signed: {before} and {others:?}");
    Ok(others.pop())
}

/// Waits until the daemon's keys are as they are wanted.
async fn keys_with(shop: &Shop, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    until(what, || async {
        let keys = shop.daemon.owners_call(Method::GET, "/v1/admin/key", None).await.ok()?.body;
        (keys["thumbprint"].is_string() && wanted(&keys)).then_some(keys)
    })
    .await
}

/// The key files in the state directory.
fn key_files(shop: &Shop) -> Result<Vec<String>> {
    let names = std::fs::read_dir(shop.daemon.path("state"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    Ok(names.into_iter().filter(|name| name.starts_with("key")).collect())
}
