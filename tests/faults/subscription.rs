//! The secret of the platform's notifications is the one that the platform has, whatever came between.

use anyhow::{Context as _, Result, ensure};
use counterfoil_protocol::{
    secret::Secret,
    webhook::{SIGNATURE_HEADER, sign},
};
use reqwest::Method;
use serde_json::json;
use world::{LocalAnswer, now, until};

use crate::{shop::Shop, stage::Stage};

/// Judges a change of the secret.
pub(crate) async fn was_true(
    stage: &Stage,
    shop: &mut Shop,
    told: Option<LocalAnswer>,
) -> Result<()> {
    let view = until("the platform's agreement", || async {
        let view = shop.status().await.ok()?["webhook"].clone();
        (view["state"] == "active").then_some(view)
    });
    let view = view.await.with_context(|| format!("after {told:?}"))?;
    let newest = stage.front.signing_secrets().pop().context("no secret was ever given")?;
    let before = shop.webhook_secret.replace(newest.clone());
    if let Some(answer) = told.filter(|it| it.status == 200) {
        ensure!(before.as_ref() != Some(&newest), "it said {answer:?}, and there is no other");
        let since = (&answer.body["since"], &answer.body["subscription_id"]);
        ensure!(since == (&view["since"], &view["subscription_id"]), "{answer:?} became {view}");
    }
    // What the platform signs from now on, and what was under way when the secret changed.
    for secret in [Some(&newest), before.as_ref()].into_iter().flatten() {
        ensure!(is_genuine(shop, secret).await?, "a notification is refused: {view}");
    }
    ensure!(!is_genuine(shop, "whsec_of_nobody").await?, "anybody's notification is taken");
    shop.is_whole(stage).await
}

/// Whether the daemon takes a notification that is signed with this secret.
async fn is_genuine(shop: &mut Shop, secret: &str) -> Result<bool> {
    shop.deliveries += 1;
    let body = json!({ "type": "makepay.payment.completed", "number": shop.deliveries });
    let body = body.to_string();
    let signature = sign(&Secret::new(secret), now(), body.as_bytes());
    let handed = json!({ "headers": { SIGNATURE_HEADER: signature }, "body": body });
    let answer = shop.daemon.call(Method::POST, "/v1/webhooks/verify", Some(handed)).await?;
    let code = answer.body["code"].as_str();
    ensure!(
        matches!((answer.status, code), (200, _) | (_, Some("webhook_signature_invalid"))),
        "{answer:?}"
    );
    Ok(answer.status == 200)
}
