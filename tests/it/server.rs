//! The server as its operator runs it.

use anyhow::Result;
use world::Server;

#[tokio::test]
async fn operator_commands_work_while_the_server_runs() -> Result<()> {
    let server = Server::start().await?;
    server.operate(&["company", "add", "Second Company"], None)?;
    let app = server.operate(
        &[
            "app",
            "add",
            "--name",
            "Books",
            "--company",
            "Second Company",
            "--redirect-uri",
            "https://books.example/cb",
            "--scope",
            "company:read",
        ],
        None,
    )?;
    assert!(app["client_id"].as_str().is_some_and(|id| id.starts_with("mco_app_")), "{app}");
    assert!(
        app["client_secret"].as_str().is_some_and(|secret| secret.starts_with("mco_sec_")),
        "{app}"
    );

    let keys = |jwks: &serde_json::Value| jwks["keys"].as_array().map_or(0, Vec::len);
    let before: serde_json::Value =
        reqwest::get(server.url("/oauth/jwks.json")).await?.json().await?;
    server.operate(&["key", "rotate"], None)?;
    let after: serde_json::Value =
        reqwest::get(server.url("/oauth/jwks.json")).await?.json().await?;
    assert!(
        keys(&after) > keys(&before),
        "the new keys are published at once and the old ones stay: {after}"
    );
    Ok(())
}

#[tokio::test]
async fn stops_when_asked_and_starts_on_the_same_data() -> Result<()> {
    let mut server = Server::start().await?;
    server.stop().await?;
    server.resume().await?;
    Ok(())
}
