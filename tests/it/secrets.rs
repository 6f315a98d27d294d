//! No secret leaves in a log, and none stands in the database.

use anyhow::Result;
use world::{
    Browser, Daemon, Decision, MERCHANT_PASSWORD, Server, Store, random_name, read_tokens,
};

#[tokio::test]
async fn no_canary_in_logs_or_files() -> Result<()> {
    let mut server = Server::start_with(&[("COUNTERFOIL_LOG", "trace")]).await?;
    let mut browser = Browser::new()?;
    let store = Store::register(&server, "http://127.0.0.1:18081").await?;
    let (code, verifier) = store.approve(&mut browser).await?;
    let tokens = read_tokens(store.redeem(&code, &verifier, &random_name()).await?).await?;
    let refresh_token =
        tokens.refresh_token.as_ref().map(|token| token.expose().to_owned()).unwrap_or_default();
    read_tokens(store.refresh(&refresh_token, &random_name()).await?).await?;

    let mut daemon = Daemon::start(&server.issuer(), "http://127.0.0.1:18082", "").await?;
    assert_eq!(daemon.connect(&mut browser, Decision::Approve).await?.status, 200);
    daemon.stop().await?;
    server.stop().await?;

    let canaries = [
        ("password", MERCHANT_PASSWORD),
        ("code", &code),
        ("verifier", &verifier),
        ("access token", tokens.access_token.expose()),
        ("refresh token", &refresh_token),
        ("registration id", &store.registration_id),
    ];
    let mut places = vec![
        ("server log".to_owned(), server.log()?.into_bytes()),
        ("daemon log".to_owned(), daemon.log()?.into_bytes()),
    ];
    for file in std::fs::read_dir(server.data_dir())? {
        let path = file?.path();
        if path.is_file() {
            places.push((path.display().to_string(), std::fs::read(path)?));
        }
    }
    for (place, content) in &places {
        for (what, canary) in &canaries {
            let found = content.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "the {what} stands in {place}");
        }
        for prefix in ["mco_rt_", "mco_code_", "eyJ0eXAiOiJkcG9wK2p3dCI"] {
            assert!(
                !content.windows(prefix.len()).any(|window| window == prefix.as_bytes()),
                "a {prefix}… stands in {place}"
            );
        }
    }
    Ok(())
}
