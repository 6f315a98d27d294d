//! The loopback port: a token for each plugin, changed without a pause.

use std::fs;

use anyhow::{Context as _, Result};
use world::{Daemon, Place, free_port, until};

use super::{NOWHERE, OTHERS, SHOPS, SITE, set_mode, status, status_with, with_port};

#[tokio::test]
async fn a_token_is_good_for_its_plugin_until_it_is_taken_out() -> Result<()> {
    let (daemon, address, tokens) = with_port("", None).await?;
    let (port, file) = (Place::Port(address), tokens.path().join("tokens"));
    let newer = "00000000000000000000000000000000";
    let judged = async |client, token| -> Result<(u16, String)> {
        let answer = port.say(status_with(client, token)).await?;
        Ok((answer.status(), answer.code()))
    };
    let good = (200, String::new());
    let refused = (401, "bearer_required".to_owned());
    assert_eq!(judged("shop", SHOPS).await?, good);
    assert_eq!(judged("other", OTHERS).await?, good);
    assert_eq!(judged("shop", OTHERS).await?, (403, "bearer_mismatch".to_owned()));
    assert_eq!(judged("shop", newer).await?, refused);
    let nobody = port.say(status("shop")).await?;
    assert_eq!((nobody.status(), nobody.code()), refused);
    assert_eq!(
        nobody.header("www-authenticate").context("a challenge")?,
        "Bearer realm=\"counterfoild\""
    );

    // The new token beside the old one, then alone.
    fs::write(&file, format!("shop {SHOPS}\nshop {newer}\nother {OTHERS}\n"))?;
    daemon.reload()?;
    until("the new token is taken", async || {
        (judged("shop", newer).await.ok()? == good).then_some(())
    })
    .await?;
    assert_eq!(judged("shop", SHOPS).await?, good);
    fs::write(&file, format!("shop {newer}\nother {OTHERS}\n"))?;
    daemon.reload()?;
    until("the old token is refused", async || {
        (judged("shop", SHOPS).await.ok()? == refused).then_some(())
    })
    .await?;
    assert_eq!(judged("shop", newer).await?, good);

    // A file that is no good changes nothing.
    fs::write(&file, "shop short\n")?;
    daemon.reload()?;
    until("the daemon says why", async || daemon.log().ok()?.contains("32 to 512").then_some(()))
        .await?;
    assert_eq!(judged("shop", newer).await?, good);
    assert!(!daemon.log()?.contains(newer), "a token in the log");
    Ok(())
}

#[tokio::test]
async fn the_file_is_made_with_a_first_line() -> Result<()> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let daemon = Daemon::start(NOWHERE, SITE, &format!("tcp = \"{address}\"")).await?;
    let made = fs::read_to_string(daemon.path("tcp-token"))?;
    let line = made.lines().find(|line| !line.starts_with('#')).context("a line")?;
    let (name, token) = line.split_once(' ').context("a name and a token")?;
    assert_eq!(Place::Port(address.clone()).say(status_with(name, token)).await?.status(), 200);
    let other = Place::Port(address).say(status_with("shop", token)).await?;
    assert_eq!(other.code(), "bearer_mismatch");
    Ok(())
}

#[tokio::test]
async fn a_file_that_everybody_can_read_stops_the_start() -> Result<()> {
    let (mut daemon, _address, tokens) = with_port("", None).await?;
    assert_eq!(daemon.place().say(status("shop")).await?.status(), 200);
    daemon.stop().await?;
    set_mode(&tokens.path().join("tokens"), 0o644)?;
    let refusal = daemon.resume().await.expect_err("it does not start");
    assert!(format!("{refusal:#}").contains("chmod o-rwx"), "{refusal:#}");
    set_mode(&tokens.path().join("tokens"), 0o640)?;
    daemon.resume().await
}
