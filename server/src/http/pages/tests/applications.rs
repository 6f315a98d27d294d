//! Developers and their applications.

use axum::http::StatusCode;
use counterfoil_protocol::pkce::Challenge;

use super::{
    browser::{Browser, field},
    world::world,
};
use crate::{
    http::pages::guarded,
    oauth::client::Client,
    people::role::Role,
    store::Part,
    testing::{Answer, TestServer},
};

const LIST: &str = "/companies/co_a/applications";

const GOOD: [(&str, &str); 7] = [
    ("name", "Ledger Sync"),
    ("kind", "confidential"),
    ("redirect_uris", "https://ledger.example/cb\r\nhttp://127.0.0.1/cb\r\n"),
    ("scope:company:read", "1"),
    ("scope:makepay:payment-links:write", "1"),
    ("support", "help@ledger.example"),
    ("privacy_url", "https://ledger.example/privacy"),
];

async fn anna(server: &TestServer) -> Browser<'_> {
    let mut browser = Browser::new(server);
    browser.sign_in("/sign-in", "anna@shop.example").await;
    browser
}

/// Sends the form of `page` with these fields, and those that are hidden in it.
async fn send(browser: &mut Browser<'_>, page: &str, to: &str, fields: &[(&str, &str)]) -> Answer {
    let shown = browser.get(page).await;
    assert_eq!(shown.status, StatusCode::OK, "{page}");
    let hidden = ["csrf", "nonce", "version"].map(|name| (name, field(&shown.body, name)));
    let mut all: Vec<_> = hidden.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.retain(|(name, value)| !value.is_empty() && !fields.iter().any(|(own, _)| own == name));
    all.extend(fields);
    browser.post(to, &all).await
}

async fn create(browser: &mut Browser<'_>, change: &[(&str, &str)]) -> Answer {
    let mut fields = GOOD.to_vec();
    fields.retain(|(name, _)| !change.iter().any(|(other, _)| other == name));
    fields.extend(change);
    let new = format!("{LIST}/new");
    send(browser, &new, &new, &fields).await
}

async fn only(server: &TestServer) -> Client {
    let mut apps = server.app.store.apps(Some("co_a"), Part::WHOLE).await.expect("reads");
    assert_eq!(apps.len(), 1);
    apps.remove(0)
}

/// What the page shows as a secret.
fn secret(answer: &Answer) -> String {
    let shown = answer.body.split_once("id=\"secret\">").map_or("", |(_, rest)| rest);
    shown.split('<').next().unwrap_or_default().to_owned()
}

fn upload(csrf: &str, version: &str, file: &[u8]) -> Vec<u8> {
    let field = |name: &str, value: &str| {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let head = "--X\r\nContent-Disposition: form-data; name=\"icon\"; filename=\"icon.png\"\r\nContent-Type: image/png\r\n\r\n";
    let fields = field("csrf", csrf) + &field("version", version) + head;
    [fields.as_bytes(), file, b"\r\n--X--\r\n"].concat()
}

fn png() -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    let picture = image::RgbaImage::from_pixel(8, 8, image::Rgba([9, 90, 200, 255]));
    picture.write_to(&mut png, image::ImageFormat::Png).expect("encodes");
    png.into_inner()
}

#[tokio::test]
async fn a_secret_is_shown_once() {
    let server = world().await;
    let mut anna = anna(&server).await;
    assert!(anna.get(LIST).await.body.contains("You have no applications yet"));

    let page = anna.get(&format!("{LIST}/new")).await;
    let (csrf, nonce) = (field(&page.body, "csrf"), field(&page.body, "nonce"));
    let fields = [&[("csrf", csrf.as_str()), ("nonce", &nonce)], &GOOD[..]].concat();
    let created = anna.post(&format!("{LIST}/new"), &fields).await;
    assert_eq!(created.status, StatusCode::OK, "{}", created.body);
    assert_eq!(created.header("cache-control"), "no-store");
    let first = secret(&created);
    assert!(first.starts_with("mco_sec_") && first.len() == 51, "{first}");
    let client = only(&server).await;
    assert_eq!(client.name, "Ledger Sync");
    let app = client.app().expect("an application");
    assert_eq!(app.secret_hash, Some(counterfoil_protocol::encoding::sha256(first.as_bytes())));
    assert_eq!(app.redirect_uris.len(), 2);
    assert_eq!(client.scopes.to_string(), "company:read makepay:payment-links:write");

    // The same form again, as when the page is loaded again: no second application, and no secret.
    let again = anna.post(&format!("{LIST}/new"), &fields).await;
    let path = format!("{LIST}/{}", client.id);
    assert_eq!((again.status, again.header("location")), (StatusCode::SEE_OTHER, path.as_str()));
    assert_eq!(only(&server).await, client);
    let shown = anna.get(&path).await;
    for words in
        ["Ledger Sync", "help@ledger.example", "https://ledger.example/privacy", "none given"]
    {
        assert!(shown.body.contains(words), "{words}");
    }
    assert!(!shown.body.contains("mco_sec_"));

    let rotate = format!("{path}/secret");
    let page = anna.get(&rotate).await;
    let (csrf, version) = (field(&page.body, "csrf"), field(&page.body, "version"));
    let fields = [("csrf", csrf.as_str()), ("version", &version), ("overlap", "24")];
    let rotated = anna.post(&rotate, &fields).await;
    let second = secret(&rotated);
    assert!(second.starts_with("mco_sec_") && second != first, "{second}");
    let again = anna.post(&rotate, &fields).await;
    assert_eq!(again.header("location"), format!("{path}?unchanged"));
    assert!(anna.get(&format!("{path}?unchanged")).await.body.contains("Nothing was changed"));
    let app = only(&server).await;
    let app = app.app().expect("an application");
    let former = app.former_secret.expect("a former secret");
    assert_eq!(former.ends_at, server.app.now() + 24 * 3_600);
    assert!(anna.get(&path).await.body.contains("The secret before works until"));

    let ended = send(&mut anna, &path, &format!("{path}/secret/end"), &[]).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER);
    assert_eq!(only(&server).await.app().expect("an application").former_secret, None);
    for overlap in ["", "2", "169", "-1", "x"] {
        let refused = send(&mut anna, &rotate, &rotate, &[("overlap", overlap)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{overlap}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_where_it_is() {
    let server = world().await;
    let mut anna = anna(&server).await;
    for (change, words) in [
        (("name", "Led\u{202e}ger"), "characters that nobody can see"),
        (("redirect_uris", "https://*.example/cb"), "https://*.example/cb: "),
        (("redirect_uris", "http://ledger.example/cb"), "scheme is not accepted"),
        (("redirect_uris", ""), "at least one redirect URI"),
        (("support", "javascript:alert(1)"), "an e-mail address or an https link"),
        (("privacy_url", "http://ledger.example"), "begins with https://"),
        (("terms_url", "<script>"), "begins with https://"),
    ] {
        let answer = create(&mut anna, &[change]).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{change:?}");
        assert!(answer.body.contains(words), "{change:?}: {}", answer.body);
        assert!(!answer.body.contains("<script"));
        assert!(answer.body.contains("Nothing was saved yet"));
    }
    let none =
        create(&mut anna, &[("scope:company:read", ""), ("scope:makepay:payment-links:write", "")])
            .await;
    assert!(none.body.contains("at least one scope"));
    assert!(server.app.store.apps(Some("co_a"), Part::WHOLE).await.expect("reads").is_empty());
}

#[tokio::test]
async fn a_change_of_two_at_once_is_not_lost() {
    let server = world().await;
    let mut anna = anna(&server).await;
    create(&mut anna, &[("kind", "public")]).await;
    let client = only(&server).await;
    assert!(!client.is_confidential());
    let change = format!("{LIST}/{}/change", client.id);
    let stale = [&GOOD[..], &[("version", "1"), ("name", "Other")]].concat();
    let fields: Vec<_> = stale.into_iter().filter(|field| *field != GOOD[0]).collect();
    assert_eq!(send(&mut anna, &change, &change, &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(only(&server).await.name, "Other");
    let raced = send(&mut anna, &change, &change, &fields).await;
    assert!(raced.body.contains("Somebody changed this application meanwhile"), "{}", raced.body);
    for path in ["secret", "secret/end"] {
        let path = format!("{LIST}/{}/{path}", client.id);
        let csrf = field(&anna.get(LIST).await.body, "csrf");
        let answer = anna.post(&path, &[("csrf", &csrf), ("overlap", "0")]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "a public one has no secret");
    }
}

#[tokio::test]
async fn another_companys_application_is_not_there() {
    let server = world().await;
    let mut anna = anna(&server).await;
    // The partner belongs to co_b, for which anna may act as well.
    for path in ["", "/change", "/delete"] {
        let answer = anna.get(&format!("{LIST}/mco_app_partner{path}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        let store = anna.get(&format!("{LIST}/mco_app_store{path}")).await;
        assert_eq!(store.status, StatusCode::NOT_FOUND, "{path}");
    }
    let own = anna.get("/companies/co_b/applications/mco_app_partner").await;
    assert!(own.body.contains("Ledger &#60;b&#62;Sync"), "{}", own.body);
}

#[tokio::test]
async fn the_example_works_once_its_challenge_is_one() {
    let server = world().await;
    let mut anna = anna(&server).await;
    create(&mut anna, &[]).await;
    let path = format!("{LIST}/{}", only(&server).await.id);
    let page = anna.get(&path).await.body;
    let link = page.split_once("<code class=\"copy\">").map_or("", |(_, rest)| rest);
    let link = link.split('<').next().unwrap_or_default().replace("&#38;", "&");
    assert!(
        link.starts_with(
            "https://pay.example/oauth/authorize?response_type=code&client_id=mco_app_"
        )
    );
    assert!(link.contains("&resource=https%3A%2F%2Fpay.example%2Fapi%2Fpartner%2Fv1&"), "{link}");
    let challenge = Challenge::of(&"v".repeat(43)).expect("a verifier");
    let link = link.replace("BASE64URL_SHA256_VERIFIER", challenge.as_str());
    let link = link.strip_prefix("https://pay.example").expect("ours");
    let consent = anna.get(link).await;
    for words in [
        "Let <bdi>Ledger Sync</bdi> act for your company?",
        "belongs to <strong><bdi>Anvils &#38; Co</bdi></strong>",
        "https://ledger.example",
        "href=\"mailto:help@ledger.example\"",
        "href=\"https://ledger.example/privacy\"",
        "<h3>See</h3>",
        "<h3>Change</h3>",
        "none given",
    ] {
        assert!(consent.body.contains(words), "{words} in {}", consent.body);
    }
}

#[tokio::test]
async fn an_icon_is_drawn_anew_and_served_safely() {
    let server = world().await;
    let mut anna = anna(&server).await;
    create(&mut anna, &[]).await;
    let client = only(&server).await;
    let (path, icon) = (format!("{LIST}/{}", client.id), format!("{LIST}/{}/icon", client.id));
    let csrf = field(&anna.get(&path).await.body, "csrf");
    let set = anna.upload(&icon, "X", upload(&csrf, "1", &png())).await;
    assert_eq!((set.status, set.header("location")), (StatusCode::SEE_OTHER, path.as_str()));
    let hash =
        only(&server).await.app().expect("an application").about.icon.clone().expect("an icon");
    assert!(anna.get(&path).await.body.contains(&format!("src=\"/icons/{hash}.png\"")));
    let picture = server.head(&format!("/icons/{hash}.png")).await;
    for (name, value) in [
        ("content-type", "image/png"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("cross-origin-resource-policy", "same-origin"),
        ("set-cookie", ""),
    ] {
        assert_eq!(picture.header(name), value, "{name}");
    }
    for name in
        [hash.clone(), format!("{hash}.svg"), "..%2f..%2fx.png".to_owned(), ".png".to_owned()]
    {
        let answer = server.head(&format!("/icons/{name}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}");
    }

    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>".to_vec();
    for (file, status, words) in [
        (svg, StatusCode::BAD_REQUEST, "SVG is not accepted"),
        (png()[..30].to_vec(), StatusCode::BAD_REQUEST, "damaged or incomplete"),
        (Vec::new(), StatusCode::BAD_REQUEST, "Choose a file first"),
        (vec![0; 1024 * 1024 + 1], StatusCode::PAYLOAD_TOO_LARGE, "upload_too_large"),
        (vec![0; 10 * 1024 * 1024], StatusCode::PAYLOAD_TOO_LARGE, "upload_too_large"),
        (vec![0; 17 * 1024 * 1024], StatusCode::PAYLOAD_TOO_LARGE, "upload_too_large"),
    ] {
        let answer = anna.upload(&icon, "X", upload(&csrf, "2", &file)).await;
        assert_eq!(answer.status, status, "{words}");
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
    let stale = anna.upload(&icon, "X", upload(&csrf, "1", &png())).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    let removed = send(&mut anna, &path, &format!("{icon}/remove"), &[]).await;
    assert_eq!(removed.status, StatusCode::SEE_OTHER);
    assert_eq!(server.head(&format!("/icons/{hash}.png")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn no_file_is_looked_at_before_its_form() {
    let server = world().await;
    let store = &server.app.store;
    store.add_membership("carl", "co_a", Role::Developer).await.expect("adds");
    let mut anna = anna(&server).await;
    create(&mut anna, &[]).await;
    let icon = format!("{LIST}/{}/icon", only(&server).await.id);
    let csrf = field(&anna.get(LIST).await.body, "csrf");
    let mut carl = Browser::new(&server);
    carl.sign_in("/sign-in", "carl@shop.example").await;
    let foreign = field(&carl.get("/").await.body, "csrf");
    let mut nobody = Browser::new(&server);
    for body in [
        upload(&foreign, "1", &png()),
        upload("", "1", &png()),
        b"--X".to_vec(),
        b"csrf=x".to_vec(),
    ] {
        let answer = anna.upload(&icon, "X", body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
        assert!(answer.body.contains("form_refused"));
    }
    let good = upload(&csrf, "1", &png());
    for boundary in ["Y", "", "\"X\""] {
        let answer = anna.upload(&icon, boundary, good.clone()).await;
        assert!(answer.body.contains("form_refused"), "{boundary}");
    }
    // Whoever may not is not even read.
    let huge = vec![0; 20 * 1024 * 1024];
    assert!(carl.upload(&icon, "X", huge.clone()).await.body.contains("role_not_allowed"));
    assert!(nobody.upload(&icon, "X", huge).await.body.contains("session_ended"));
    assert_eq!(only(&server).await.app().expect("an application").about.icon, None);
    assert_eq!(anna.upload(&icon, "X", good).await.status, StatusCode::SEE_OTHER);
    assert!(guarded().table().iter().any(|page| page.path.ends_with("/icon")));
}

#[tokio::test]
async fn deleting_says_what_stops_and_wants_the_name() {
    let server = world().await;
    let mut anna = anna(&server).await;
    create(&mut anna, &[]).await;
    let client = only(&server).await;
    let delete = format!("{LIST}/{}/delete", client.id);
    assert!(anna.get(&delete).await.body.contains("No company is connected to it"));
    for name in ["", "ledger sync", "Ledger"] {
        let kept = send(&mut anna, &delete, &delete, &[("name", name)]).await;
        assert_eq!(kept.status, StatusCode::BAD_REQUEST, "{name}");
        assert!(kept.body.contains("Nothing was deleted"));
    }
    let deleted = send(&mut anna, &delete, &delete, &[("name", " Ledger  Sync ")]).await;
    assert_eq!((deleted.status, deleted.header("location")), (StatusCode::SEE_OTHER, LIST));
    assert!(server.app.store.apps(Some("co_a"), Part::WHOLE).await.expect("reads").is_empty());
    assert_eq!(anna.get(&delete).await.status, StatusCode::NOT_FOUND);
}
