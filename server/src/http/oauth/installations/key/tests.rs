//! A store changes its key, and others try to change it for the store.

mod requests;
mod shop;

use self::shop::{Ask, Shop, refused};
use crate::{
    oauth::key_rotation::RECEIPT_LIFETIME,
    testing::{Key, TestServer},
};

#[tokio::test]
async fn the_new_key_takes_the_place_of_the_old_one() {
    for platform in ["wordpress", "btcpay-server"] {
        let server = TestServer::start();
        let mut shop = Shop::connect(&server, platform).await;
        let before = shop.refresh(shop.held(), &shop.key).await;
        let before = shop.accept(&before);
        let (new, old_token) = (Key::new(), shop.held().to_owned());
        let answer = shop.rotate(&shop.ask(&new)).await;
        assert_eq!(answer.header("idempotent-replayed"), "");
        let claims = shop.accept(&answer);
        assert_eq!(claims.cnf.map(|cnf| cnf.jkt), Some(new.thumbprint()));
        assert_eq!((claims.grant_id, claims.scope), (before.grant_id, before.scope));
        assert_eq!(claims.installation_id.as_ref(), Some(&shop.client_id));

        let old = std::mem::replace(&mut shop.key, new);
        refused(&shop.refresh(shop.held(), &old).await, 400, "invalid_dpop_proof");
        refused(&shop.refresh(&old_token, &old).await, 400, "invalid_grant");
        refused(&shop.register(&old, None).await, 401, "previous_dpop_required");
        refused(&shop.register(&Key::new(), Some(&old)).await, 401, "invalid_previous_dpop_key");
        let refreshed = shop.refresh(shop.held(), &shop.key).await;
        shop.accept(&refreshed);
        assert_eq!(shop.register(&shop.key, None).await.status, 200);
        // And once more, with the key that was new.
        let next = Key::new();
        let answer = shop.rotate(&shop.ask(&next)).await;
        shop.accept(&answer);
    }
}

#[tokio::test]
async fn recovery_goes_by_the_key_in_force() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "wordpress").await;
    let new = Key::new();
    assert_eq!(shop.rotate(&shop.ask(&new)).await.status, 200);
    // The answer was lost for good: the new key alone is enough, the old one is not.
    refused(&shop.recover(&shop.key).await, 400, "invalid_dpop_proof");
    let recovered = shop.recover(&new).await;
    shop.accept(&recovered);
    let refreshed = shop.refresh(shop.held(), &new).await;
    shop.accept(&refreshed);
}

#[tokio::test]
async fn a_code_for_the_old_key_gives_nothing_any_more() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "wordpress").await;
    let (new, code) = (Key::new(), shop.approved(&shop.key).await);
    let answer = shop.rotate(&shop.ask(&new)).await;
    shop.accept(&answer);
    refused(&shop.redeem(&code, &shop.key).await, 400, "invalid_grant");
    assert_eq!(shop.refresh(shop.held(), &new).await.status, 200);
}

#[tokio::test]
async fn wrong_keys_change_nothing() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress").await;
    let (new, thief) = (Key::new(), Key::new());
    let ask = || shop.ask(&new);
    let named = Some(thief.thumbprint());
    let same = Some(shop.key.thumbprint());
    for (ask, status, code) in [
        (Ask { signer: None, ..ask() }, 400, "invalid_dpop_proof"),
        (Ask { previous: None, ..ask() }, 401, "previous_dpop_required"),
        (Ask { signer: Some(&shop.key), previous: None, ..ask() }, 401, "previous_dpop_required"),
        (Ask { signer: Some(&thief), previous: None, ..ask() }, 401, "previous_dpop_required"),
        (Ask { previous: Some(&thief), ..ask() }, 401, "invalid_previous_dpop_key"),
        (Ask { previous: Some(&new), ..ask() }, 401, "invalid_previous_dpop_key"),
        (Ask { signer: Some(&thief), ..ask() }, 400, "invalid_dpop_proof"),
        (Ask { successor: None, ..ask() }, 400, "invalid_dpop_proof"),
        (Ask { successor: named, ..ask() }, 400, "invalid_dpop_proof"),
        (Ask { signer: Some(&shop.key), successor: same, ..ask() }, 400, "invalid_dpop_proof"),
        (Ask { at: "/oauth/token", ..ask() }, 400, "invalid_dpop_proof"),
        (Ask { token: format!("{}x", shop.held()), ..ask() }, 400, "invalid_grant"),
        (Ask { idempotency: None, ..ask() }, 400, "invalid_idempotency_key"),
        (Ask { idempotency: Some("x".repeat(43)), ..ask() }, 400, "invalid_idempotency_key"),
        (Ask { client_id: "mco_app_unknown".to_owned(), ..ask() }, 401, "invalid_client"),
    ] {
        let answer = shop.rotate(&ask).await;
        refused(&answer, status, code);
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge.starts_with("DPoP"), code.contains("previous"), "{challenge}");
    }
    // Another store presents the token with keys of its own.
    let other = Shop::connect(&server, "btcpay-server").await;
    let stolen = Ask { token: shop.held().to_owned(), ..other.ask(&new) };
    refused(&other.rotate(&stolen).await, 400, "invalid_grant");
    assert_eq!(shop.rotate(&ask()).await.status, 200);
}

#[tokio::test]
async fn a_lost_answer_is_had_again_by_either_key() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "wordpress").await;
    let (new, thief) = (Key::new(), Key::new());
    let ask = shop.ask(&new);
    let first = shop.rotate(&ask).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let old_alone = Ask { signer: Some(&shop.key), previous: None, ..ask.clone() };
    let new_alone = Ask { previous: None, ..ask.clone() };
    for retry in [&ask, &old_alone, &new_alone, &ask] {
        let again = shop.rotate(retry).await;
        assert_eq!((again.status.as_u16(), &again.body), (200, &first.body));
        assert_eq!(again.header("idempotent-replayed"), "true");
    }
    let other = Some(shop.idempotency());
    for (ask, status, code) in [
        (Ask { idempotency: other, ..ask.clone() }, 400, "invalid_grant"),
        (
            Ask { signer: Some(&thief), previous: None, ..ask.clone() },
            401,
            "previous_dpop_required",
        ),
        (Ask { previous: Some(&thief), ..ask.clone() }, 401, "invalid_previous_dpop_key"),
        // Whoever has the old key and the old token is too late.
        (
            Ask { signer: Some(&thief), successor: Some(thief.thumbprint()), ..ask.clone() },
            400,
            "invalid_grant",
        ),
    ] {
        refused(&shop.rotate(&ask).await, status, code);
    }
    let (old_token, name) = (ask.token, ask.idempotency);
    shop.accept(&first);
    let refreshed = shop.refresh(shop.held(), &new).await;
    shop.accept(&refreshed);
    let late = Ask { token: old_token, idempotency: name, ..shop.ask(&new) };
    let late = shop.rotate(&late).await;
    refused(&late, 400, "invalid_grant");
    assert_eq!(late.header("oauth-token-recovery"), "expired");
    assert_eq!(shop.refresh(shop.held(), &new).await.status, 200);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress").await;
    let (new, later) = (Key::new(), |seconds| server.clock.advance(seconds));
    let ask = shop.ask(&new);
    assert_eq!(shop.rotate(&ask).await.status, 200);
    later(RECEIPT_LIFETIME - 1);
    assert_eq!(shop.rotate(&ask).await.status, 200);
    later(1);
    refused(&shop.rotate(&ask).await, 400, "invalid_grant");
    assert_eq!(shop.recover(&new).await.status, 200);
}

#[tokio::test]
async fn two_at_once() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "wordpress").await;
    let (new, other) = (Key::new(), Key::new());
    let ask = shop.ask(&new);
    let (one, two) = tokio::join!(shop.rotate(&ask), shop.rotate(&ask));
    assert_eq!((one.status.as_u16(), &one.body), (200, &two.body));
    shop.accept(&one);
    shop.key = new;

    let (next, other) = (shop.ask(&other), Key::new());
    let rival = shop.ask(&other);
    let (one, two) = tokio::join!(shop.rotate(&next), shop.rotate(&rival));
    let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
    assert_eq!(won.status, 200);
    refused(&lost, 400, "invalid_grant");
}

#[tokio::test]
async fn a_token_used_before_ends_the_family_and_the_trust_in_its_key() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "wordpress").await;
    let (new, thief, stolen) = (Key::new(), Key::new(), shop.held().to_owned());
    for _ in 0..2 {
        let refreshed = shop.refresh(shop.held(), &shop.key).await;
        shop.accept(&refreshed);
    }
    // Without the store's key the old token ends nothing.
    let theft = Ask { token: stolen.clone(), previous: Some(&thief), ..shop.ask(&new) };
    refused(&shop.rotate(&theft).await, 401, "invalid_previous_dpop_key");
    let refreshed = shop.refresh(shop.held(), &shop.key).await;
    shop.accept(&refreshed);
    let reuse = shop.rotate(&Ask { token: stolen, ..shop.ask(&new) }).await;
    refused(&reuse, 400, "invalid_grant");
    assert_eq!(reuse.header("oauth-token-recovery"), "expired");
    refused(&shop.refresh(shop.held(), &shop.key).await, 400, "invalid_grant");
    // Two have the key now. One recovery is allowed, but which of them is the store, the merchant must say.
    let recovered = shop.recover(&shop.key).await;
    shop.accept(&recovered);
    refused(&shop.rotate(&shop.ask(&new)).await, 400, "key_in_two_places");
    let code = shop.approved(&shop.key).await;
    let redeemed = shop.redeem(&code, &shop.key).await;
    shop.accept(&redeemed);
    assert_eq!(shop.rotate(&shop.ask(&new)).await.status, 200);
}

#[tokio::test]
async fn a_refresh_that_came_first_is_finished_first() {
    let server = TestServer::start();
    let mut shop = Shop::connect(&server, "wordpress").await;
    let (new, name, before) = (Key::new(), shop.idempotency(), shop.held().to_owned());
    let lost = shop.refresh_as(&before, &shop.key, name.clone()).await;
    refused(&shop.rotate(&shop.ask(&new)).await, 400, "invalid_grant");
    let again = shop.refresh_as(&before, &shop.key, name).await;
    assert_eq!(again.body, lost.body);
    shop.accept(&again);
    assert_eq!(shop.rotate(&shop.ask(&new)).await.status, 200);
}

#[tokio::test]
async fn what_was_revoked_has_no_new_key() {
    let server = TestServer::start();
    let shop = Shop::connect(&server, "wordpress").await;
    let new = Key::new();
    assert_eq!(shop.revoke(shop.held()).await.status, 200);
    refused(&shop.rotate(&shop.ask(&new)).await, 400, "invalid_grant");
    refused(&shop.recover(&new).await, 400, "invalid_dpop_proof");
}
