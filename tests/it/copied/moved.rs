//! A state that is not where it was, and a store that is not where it was.

use super::*;

const NEW_SITE: &str = "http://127.0.0.1:18087";

#[tokio::test]
async fn a_renamed_directory_goes_on_without_a_word() -> Result<()> {
    let mut scene = Scene::set(&[]).await?;
    let before = standing(&scene.original).await?;
    scene.original.stop().await?;
    let mut renamed = scene.elsewhere(SITE)?;
    fs::rename(scene.original.path("state"), renamed.path("state"))?;
    for _ in 0..2 {
        renamed.resume().await?;
        assert_eq!(standing(&renamed).await?, before);
        assert_eq!(scene.call_with_refresh(&renamed).await?.status, 200);
        renamed.stop().await?;
    }
    assert!(!renamed.log()?.contains("may be a copy"), "{}", renamed.log()?);
    Ok(())
}

#[tokio::test]
async fn a_copy_goes_on_once_its_original_is_removed() -> Result<()> {
    let mut scene = Scene::set(&[]).await?;
    let before = standing(&scene.original).await?;
    scene.original.stop().await?;
    let mut copy = scene.copy()?;
    copy.resume().await?;
    assert_eq!(copy.state().await?, "safe_mode", "as long as the original is there");
    copy.stop().await?;
    fs::remove_dir_all(scene.original.path("state"))?;
    copy.resume().await?;
    if !machine_is_known() {
        assert_eq!(evidence(&status(&copy).await?).first(), Some(&"machine_unknown"));
        return Ok(());
    }
    assert_eq!(standing(&copy).await?, before);
    assert_eq!(scene.call_with_refresh(&copy).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn an_adopted_copy_goes_on_as_it_was() -> Result<()> {
    let mut scene = Scene::set(&[]).await?;
    let before = standing(&scene.original).await?;
    let refused = scene.original.command(&["adopt", "--yes"])?;
    assert!(!refused.status.success(), "there is nothing to adopt");

    scene.original.stop().await?;
    let mut copy = scene.copy()?;
    copy.resume().await?;
    assert_eq!(copy.state().await?, "safe_mode");
    let _ = scene.front.take_seen();
    let adopted = copy.command(&["adopt", "--yes"])?;
    assert!(adopted.status.success(), "{}", said(&adopted));
    for _ in 0..2 {
        assert_eq!(standing(&copy).await?, before);
        assert_eq!(scene.call_with_refresh(&copy).await?.status, 200);
        copy.stop().await?;
        copy.resume().await?;
    }
    assert_eq!(scene.installations()?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_store_takes_its_connection_to_a_new_address() -> Result<()> {
    let mut scene = Scene::set(&[]).await?;
    let before = standing(&scene.original).await?;
    scene.original.stop().await?;
    let mut moved = scene.elsewhere(NEW_SITE)?;
    fs::rename(scene.original.path("state"), moved.path("state"))?;
    let _ = scene.front.take_seen();
    moved.resume().await?;
    let seen = status(&moved).await?;
    assert_eq!((&seen["state"], evidence(&seen)), (&"safe_mode".into(), vec!["other_site_url"]));
    assert_eq!(moved.call(Method::GET, LINKS, None).await?.body["code"], "safe_mode");
    assert!(scene.front.take_seen().is_empty());

    let adopted = moved.command(&["adopt", "--yes"])?;
    assert!(adopted.status.success(), "{}", said(&adopted));
    assert_eq!(standing(&moved).await?, before);
    assert_eq!(scene.call_with_refresh(&moved).await?.status, 200);
    assert_eq!(scene.installations()?[0]["site_url"], SITE, "until the merchant approves");

    let connected = moved.connect(&mut scene.browser, Decision::Approve).await?;
    assert_eq!(connected.status, 200, "{connected:?}");
    let after = standing(&moved).await?;
    for member in ["state", "thumbprint", "client_id", "company"] {
        assert_eq!(after[member], before[member], "{member}");
    }
    let known = scene.installations()?;
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!(
        (&known[0]["site_url"], &known[0]["client_id"]),
        (&NEW_SITE.into(), &before["client_id"])
    );
    assert_eq!(scene.call_with_refresh(&moved).await?.status, 200);
    Ok(())
}
