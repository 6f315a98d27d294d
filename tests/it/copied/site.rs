//! `Counterfoil-Site`: a copy of the site, with the shop's user and socket, calls the shop's daemon.

use world::RawAnswer;

use super::*;

const HEADER: &str = "Counterfoil-Site: ";
const SHOP: &str = "http://127.0.0.1:18086; 1; /var/www/shop/";
const STAGING: &str = "https://staging.shop.example; 1; /var/www/staging/";

/// Calls as a plugin whose site says these things of itself.
async fn ask(
    daemon: &Daemon,
    sites: &[&str],
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<RawAnswer> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let sites = sites.iter().fold(String::new(), |lines, site| lines + HEADER + site + "\r\n");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nCounterfoil-Client: shop/1.0\r\nConnection: close\r\n\
         {sites}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    daemon.place().say(request).await
}

async fn links(daemon: &Daemon, sites: &[&str]) -> Result<(u16, String)> {
    let answer = ask(daemon, sites, "GET", LINKS, None).await?;
    Ok((answer.status(), answer.code()))
}

/// A store that was connected by [`SHOP`].
async fn connected_by_the_shop() -> Result<Scene> {
    let mut scene = Scene::without_connection(&[]).await?;
    let begun = ask(&scene.original, &[SHOP], "POST", "/v1/connect", Some(&json!({}))).await?;
    let begun: Value = serde_json::from_slice(begun.body())?;
    let url = begun["authorization_url"].as_str().with_context(|| begun.to_string())?;
    let landed = scene.browser.decide(url, Decision::Approve).await?;
    let query = landed.split_once('?').context("a query")?.1;
    let body = json!({ "query": query });
    let done = ask(&scene.original, &[SHOP], "POST", "/v1/callback", Some(&body)).await?;
    assert_eq!(done.status(), 200, "{done:?}");
    Ok(scene)
}

#[tokio::test]
async fn a_stranger_is_sent_away_and_the_shop_goes_on() -> Result<()> {
    let scene = connected_by_the_shop().await?;
    let daemon = &scene.original;
    let before = standing(daemon).await?;
    assert_eq!(
        status(daemon).await?["site"],
        json!({ "home": SITE, "blog": 1, "path": "/var/www/shop/" })
    );

    let strangers = [
        (STAGING, "other_home"),
        ("http://127.0.0.1:18086; 1; /var/www/copy/", "other_path"),
        ("http://127.0.0.1:18086; 2; /var/www/shop/", "other_blog"),
    ];
    let _ = scene.front.take_seen();
    for (stranger, sign) in strangers {
        for (method, path, body) in [
            ("GET", LINKS, None),
            ("POST", LINKS, Some(json!({ "payload": {} }))),
            ("POST", "/v1/connect", Some(json!({}))),
            ("POST", "/v1/callback", Some(json!({ "query": "code=a&state=b" }))),
            ("POST", "/v1/proofs", Some(json!({ "method": "GET", "url": "http://a.example/" }))),
            ("POST", "/v1/ownership", Some(json!({ "nonce": "a", "client_id": "b" }))),
            ("POST", "/v1/disconnect", Some(json!({}))),
            ("POST", "/v1/disconnect", Some(json!({ "forget": true }))),
        ] {
            let answer = ask(daemon, &[stranger], method, path, body.as_ref()).await?;
            let refusal = (answer.status(), answer.code());
            assert_eq!(refusal, (409, "site_mismatch".to_owned()), "{stranger}: {method} {path}");
        }
        let told = ask(daemon, &[stranger], "GET", "/v1/status", None).await?;
        let told: Value = serde_json::from_slice(told.body())?;
        assert_eq!(told["state"], "safe_mode", "{told}");
        assert!(evidence(&told).contains(&sign), "{told}");
    }
    for malformed in [&["shop"][..], &[SHOP, SHOP], &[SHOP, STAGING]] {
        let refusal = links(daemon, malformed).await?;
        assert_eq!(refusal, (400, "site_header_malformed".to_owned()), "{malformed:?}");
    }
    let sent = scene.front.take_seen();
    assert!(sent.is_empty(), "for strangers was sent {sent:?}");

    // The shop itself, however it writes its home, and who says nothing of himself.
    for sites in [&[SHOP][..], &["https://127.0.0.1:18086/; 1; /var/www/shop/"], &[]] {
        assert_eq!(links(daemon, sites).await?.0, 200, "{sites:?}");
    }
    assert_eq!(scene.front.count(Step::Api), 3);
    assert_eq!(scene.call_with_refresh(daemon).await?.status, 200);
    assert_eq!(standing(daemon).await?, before);
    let listed = status(daemon).await?["strangers"].as_array().map(Vec::len);
    assert_eq!(listed, Some(strangers.len()));
    Ok(())
}

#[tokio::test]
async fn the_owner_moves_the_connection_to_another_site() -> Result<()> {
    let mut scene = connected_by_the_shop().await?;
    let before = standing(&scene.original).await?;
    let adopt = ["adopt", "--site", "https://staging.shop.example/", "--yes"];
    let unknown = scene.original.command(&adopt)?;
    assert!(said(&unknown).contains("(site_unknown)"), "{}", said(&unknown));

    assert_eq!(links(&scene.original, &[STAGING]).await?.0, 409);
    let _ = scene.front.take_seen();
    let adopted = scene.original.command(&adopt)?;
    assert!(adopted.status.success(), "{}", said(&adopted));
    assert!(scene.front.take_seen().is_empty(), "the platform is not asked");
    for _ in 0..2 {
        assert_eq!(links(&scene.original, &[STAGING]).await?.0, 200);
        assert_eq!(links(&scene.original, &[]).await?.0, 200);
        let shop = links(&scene.original, &[SHOP]).await?;
        assert_eq!(shop, (409, "site_mismatch".to_owned()));
        assert_eq!(standing(&scene.original).await?, before);
        // It is on the disk.
        scene.original.stop().await?;
        scene.original.resume().await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_site_at_connect_the_first_one_is_bound() -> Result<()> {
    let scene = Scene::set(&[]).await?;
    assert_eq!(status(&scene.original).await?["site"], Value::Null);
    assert_eq!(links(&scene.original, &[]).await?.0, 200);
    assert_eq!(status(&scene.original).await?["site"], Value::Null);
    assert_eq!(links(&scene.original, &[SHOP]).await?.0, 200);
    assert_eq!(links(&scene.original, &[STAGING]).await?, (409, "site_mismatch".to_owned()));
    assert_eq!(links(&scene.original, &[SHOP]).await?.0, 200);
    Ok(())
}
