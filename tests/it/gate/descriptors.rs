//! A daemon whose descriptors are taken from it while it serves.

use std::{fs, process::Command};

use anyhow::{Result, ensure};
use world::{
    Browser, Daemon, Decision, Front, Line, Place, Server, Settings, Step, free_port, until,
};

use super::{SITE, status, with_port};

/// A real limit below what is open already: nothing can be opened any more.
fn limit(daemon: &Daemon, soft: usize) -> Result<()> {
    let done = Command::new("prlimit")
        .args(["--pid", &daemon.pid().to_string(), &format!("--nofile={soft}:4096")])
        .status()?;
    ensure!(done.success(), "prlimit");
    Ok(())
}

fn open_descriptors(daemon: &Daemon) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{}/fd", daemon.pid()))?.count())
}

/// User and system time so far, in hundredths of a second (proc(5), fields 14 and 15).
fn cpu(daemon: &Daemon) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid()))?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

async fn kept(daemon: &Daemon) -> Result<Line> {
    let mut line = daemon.place().open().await?;
    ask(&mut line).await?;
    Ok(line)
}

async fn ask(line: &mut Line) -> Result<()> {
    line.write(status("shop").replace("Connection: close\r\n", "")).await?;
    ensure!(line.read_one().await?.status() == 200, "not served");
    Ok(())
}

#[tokio::test]
async fn accepting_survives_that_no_descriptor_is_left() -> Result<()> {
    let (daemon, _address, _tokens) = with_port("", Some(4_096)).await?;
    let mut old = Vec::new();
    for _ in 0..4 {
        old.push(kept(&daemon).await?);
    }
    let mut quiet = daemon.place().open().await?;
    ask(&mut old[0]).await?;
    limit(&daemon, open_descriptors(&daemon)?)?;
    // These are in the kernel's queue; the daemon cannot take them.
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut line = daemon.place().open().await?;
        line.write(status("shop")).await?;
        waiting.push(line);
    }
    until("the daemon sees it", async || {
        daemon.log().ok()?.contains("cannot accept connections").then_some(())
    })
    .await?;
    // Those who are in are served, again and again; the daemon is not busy with trying. It goes on until the daemon ends
    // the connection that says nothing, which takes it ten seconds.
    let before = cpu(&daemon)?;
    {
        tokio::pin! { let ended = quiet.read_to_end(); }
        loop {
            for line in &mut old {
                ask(line).await?;
            }
            tokio::select! {
                ended = &mut ended => break drop(ended?),
                () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
            }
        }
    }
    let used = cpu(&daemon)? - before;
    assert!(used < 400, "{used} hundredths of a second");
    assert_eq!(daemon.log()?.matches("cannot accept connections").count(), 1, "said once");
    // What was freed is taken by one of those who wait, and the rest when there is more again.
    assert_eq!(waiting.remove(0).read_to_end().await?.status(), 200);
    limit(&daemon, 4_096)?;
    for mut line in waiting {
        assert_eq!(line.read_to_end().await?.status(), 200);
    }
    for line in &mut old {
        ask(line).await?;
    }
    Ok(())
}

#[tokio::test]
async fn renewals_have_descriptors_of_their_own() -> Result<()> {
    let front = Front::listen().await?;
    let lifetime = [("COUNTERFOIL_LIFETIMES_ACCESS_TOKEN", "4")];
    let _server = Server::start_behind(&front, &lifetime).await?;
    let port = format!("127.0.0.1:{}", free_port()?);
    let local = format!("tcp = \"{port}\"");
    let settings = Settings { local: &local, descriptors: Some(128), ..Settings::default() };
    let daemon = Daemon::start_with(&front.issuer(), SITE, settings).await?;
    let connected = daemon.connect(&mut Browser::new()?, Decision::Approve).await?;
    assert_eq!(connected.status, 200, "{connected:?}");
    // Two callers take all they can have, and stand in the queue for more.
    let mut held = Vec::new();
    for place in [daemon.place(), Place::Port(port)] {
        for _ in 0..100 {
            held.push(place.open().await?);
        }
    }
    let before = front.count(Step::Refresh);
    until("two renewals while nothing is left", async || {
        (front.count(Step::Refresh) >= before + 2).then_some(())
    })
    .await?;
    let answer = daemon.owners_place().say(status("shop")).await?;
    assert!(answer.text().contains("\"state\":\"connected\""), "{}", answer.text());
    assert!(!daemon.log()?.contains("cannot accept connections"), "{}", daemon.log()?);
    assert!(open_descriptors(&daemon)? < 128);
    drop(held);
    Ok(())
}
