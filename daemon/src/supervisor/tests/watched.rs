//! Every way in which people and programs change a file.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::PathBuf,
};

use super::world::{World, store, store_file};
use crate::{reload::watcher, supervisor::Situation};

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

fn of_user(user: u32) -> String {
    store(NOWHERE, &format!("local.allow_users = [{user}]"))
}

fn lets_in(situation: &Situation, user: u32) -> bool {
    situation.guests.users == [user]
}

/// A daemon that watches its file.
async fn watching(dir: tempfile::TempDir, file: PathBuf) -> World {
    let world = World::start_with(dir, file.clone()).await;
    let situations = world.app.situations.clone();
    tokio::spawn(watcher::watch(file, situations, world.supervisor.clone()));
    world.until(|situation| situation.file.watched).await;
    world
}

#[tokio::test]
async fn edited_in_place_replaced_and_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (file, aside) = (store_file(dir.path()), dir.path().join("store.toml.new"));
    fs::write(&file, of_user(1)).expect("written");
    let world = watching(dir, file.clone()).await;
    fs::write(&file, of_user(2)).expect("written");
    world.until(|situation| lets_in(situation, 2)).await;

    fs::write(&aside, of_user(3)).expect("written");
    fs::rename(&aside, &file).expect("replaced");
    world.until(|situation| lets_in(situation, 3)).await;

    fs::remove_file(&file).expect("removed");
    let without = world.until(|situation| situation.file.error.is_some()).await;
    assert!(lets_in(&without, 3), "what was there is gone by");
    fs::write(&file, of_user(4)).expect("written");
    let mended = world.until(|situation| lets_in(situation, 4)).await;
    assert_eq!(mended.file.error, None);
    world.end().await;
}

#[tokio::test]
async fn an_empty_file_is_not_yet_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = store_file(dir.path());
    fs::write(&file, of_user(1)).expect("written");
    let world = watching(dir, file.clone()).await;
    let mut situations = world.app.situations.clone();
    let mut writer = OpenOptions::new().write(true).truncate(true).open(&file).expect("truncated");
    world.supervisor.tell(crate::supervisor::Command::FileChanged).await;
    writer.write_all(of_user(2).as_bytes()).expect("written");
    drop(writer);
    let seen = async {
        loop {
            situations.changed().await.expect("a supervisor");
            let situation = situations.borrow_and_update().clone();
            assert_eq!(situation.file.error, None);
            if lets_in(&situation, 2) {
                return;
            }
        }
    };
    tokio::time::timeout(super::LONG, seen).await.expect("in time");
    world.end().await;
}

#[tokio::test]
async fn links_set_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    for version in [1, 2] {
        fs::write(at(&format!("v{version}.toml")), of_user(version)).expect("written");
    }
    let (file, aside) = (at("store.toml"), at("aside"));
    symlink("v1.toml", &file).expect("linked");
    symlink("v2.toml", &aside).expect("linked");
    let second = at("v2.toml");
    let world = watching(dir, file.clone()).await;
    fs::rename(&aside, &file).expect("replaced");
    world.until(|situation| lets_in(situation, 2)).await;
    // And what it leads to now is watched as well.
    fs::write(&second, of_user(3)).expect("written");
    world.until(|situation| lets_in(situation, 3)).await;
    world.end().await;
}

#[tokio::test]
async fn mounted_by_kubernetes() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    for version in [1, 2, 3] {
        let data = at(&format!("..data_{version}"));
        fs::create_dir(&data).expect("made");
        fs::write(data.join("store.toml"), of_user(version)).expect("written");
    }
    let (file, data, aside) = (at("store.toml"), at("..data"), at("..data_tmp"));
    symlink("..data_1", &data).expect("linked");
    symlink("..data/store.toml", &file).expect("linked");
    let old = [at("..data_1"), at("..data_2")];
    let world = watching(dir, file).await;
    for version in [2, 3] {
        symlink(format!("..data_{version}"), &aside).expect("linked");
        fs::rename(&aside, &data).expect("replaced");
        fs::remove_dir_all(&old[version as usize - 2]).expect("removed");
        world.until(|situation| lets_in(situation, version)).await;
    }
    world.end().await;
}
