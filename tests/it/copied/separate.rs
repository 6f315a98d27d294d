//! A copy that is to be a store of its own.

use std::collections::BTreeSet;

use super::*;

/// Whether a file below `directory` holds this text.
fn holds(directory: &Path, text: &str) -> Result<bool> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let found = path.is_file()
            && fs::read(&path)?.windows(text.len()).any(|window| window == text.as_bytes());
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test]
async fn a_copy_becomes_another_installation() -> Result<()> {
    let mut scene = Scene::set(&[]).await?;
    let before = standing(&scene.original).await?;
    let former: Vec<_> = scene
        .front
        .secrets()
        .into_iter()
        .filter(|(what, _)| {
            ["registrationId", "registration_id", "refresh_token", "access_token"].contains(what)
        })
        .collect();
    let mut copy = scene.copy()?;
    copy.resume().await?;
    let copied = status(&copy).await?;
    assert_eq!(copied["state"], "safe_mode", "{copied}");
    assert_eq!(copied["thumbprint"], before["thumbprint"], "the original's key is here");
    let state = copy.path("state");
    for (what, secret) in &former {
        assert!(holds(&state, secret)?, "the copy has the original's {what}");
    }
    assert!(former.len() >= 3, "{}", former.len());

    let _ = scene.front.take_seen();
    let separated = copy.command(&["separate", "--yes"])?;
    assert!(separated.status.success(), "{}", said(&separated));
    let own = status(&copy).await?;
    assert_eq!((&own["state"], &own["safe_mode"]), (&"unregistered".into(), &Value::Null));
    assert_eq!((&own["client_id"], &own["grant_id"]), (&Value::Null, &Value::Null));
    assert_ne!(own["thumbprint"], before["thumbprint"]);
    for (what, secret) in &former {
        assert!(!holds(&state, secret)?, "the original's {what} is still in the copy");
    }
    let sent = scene.front.take_seen();
    assert!(sent.is_empty(), "the server was told {sent:?}");

    let connected = copy.connect(&mut scene.browser, Decision::Approve).await?;
    assert_eq!(connected.status, 200, "{connected:?}");
    let second = standing(&copy).await?;
    assert_eq!(second["thumbprint"], own["thumbprint"]);
    let names = scene.front.secrets();
    let names = names.iter().filter(|(what, _)| what.starts_with("registration"));
    let names: BTreeSet<_> = names.map(|(_, name)| name).collect();
    assert_eq!(names.len(), 2, "a secret name of its own");
    let known = scene.installations()?;
    assert_eq!(known.len(), 2, "{known:?}");
    for standing in [&before, &second] {
        let of_it = known.iter().find(|it| it["client_id"] == standing["client_id"]);
        let of_it = of_it.with_context(|| format!("{standing} in {known:?}"))?;
        assert_eq!(of_it["key"], standing["thumbprint"], "{of_it}");
        assert_eq!(of_it["site_url"], SITE);
    }

    // Each goes on for itself, also when it renews.
    for (daemon, kept) in [(&scene.original, &before), (&copy, &second)] {
        assert_eq!(scene.call_with_refresh(daemon).await?.status, 200);
        assert_eq!(standing(daemon).await?, *kept);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_copy_is_not_separated_by_mistake() -> Result<()> {
    let scene = Scene::set(&[]).await?;
    let before = standing(&scene.original).await?;
    let _ = scene.front.take_seen();
    let refused = scene.original.command(&["separate", "--yes"])?;
    assert!(!refused.status.success());
    assert!(said(&refused).contains("(not_in_safe_mode)"), "{}", said(&refused));
    assert_eq!(standing(&scene.original).await?, before);
    assert_eq!(scene.call_with_refresh(&scene.original).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_command_for_a_copy_does_not_reach_the_original() -> Result<()> {
    let scene = Scene::set(&[]).await?;
    let before = standing(&scene.original).await?;
    let copy = scene.copy()?;
    let _ = scene.front.take_seen();
    // The copy's daemon does not run; the note beside its state says where the original's listens.
    let note = fs::read(copy.path("state/socket"))?;
    let socket = scene.original.socket();
    assert!(note.starts_with(socket.as_os_str().as_encoded_bytes()), "{note:?}");
    for command in [&["separate", "--abandon", "--yes"][..], &["disconnect"], &["key", "rotate"]] {
        let output = copy.command_by_state(command)?;
        assert!(!output.status.success(), "{command:?}: {}", said(&output));
        assert!(said(&output).contains("No daemon answers"), "{command:?}: {}", said(&output));
    }
    assert_eq!(standing(&scene.original).await?, before);
    assert!(scene.front.take_seen().is_empty());
    // For the original itself the note is good.
    let told = scene.original.command_by_state(&["key", "show"])?;
    assert!(told.status.success(), "{}", said(&told));
    Ok(())
}
