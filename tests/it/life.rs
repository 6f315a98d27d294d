//! How the daemon lives with its service manager: what it says, what is passed to it, and what nobody can see of it.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        net::UnixListener,
    },
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use world::{Browser, Daemon, Decision, Manager, Server, until};

const SITE: &str = "http://127.0.0.1:18085";

/// Nobody listens there.
const ISSUER: &str = "http://127.0.0.1:9";

/// Nobody's user and group.
const NOBODY: u32 = 65_534;

fn prepare() -> Result<Daemon> {
    Daemon::prepare(tempfile::tempdir()?, ISSUER, SITE, "")
}

/// Has the daemon started with a socket that listens, as a service manager passes it.
fn pass(daemon: &mut Daemon, listener: UnixListener) {
    // The process id is known in the process alone.
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"";
    daemon.wrapper = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
    daemon.passed = Some(listener);
}

#[tokio::test]
async fn an_upgrade_refuses_nobody() -> Result<()> {
    let mut daemon = prepare()?;
    let manager = Manager::of(&mut daemon)?;
    let listener = UnixListener::bind(daemon.socket())?;
    pass(&mut daemon, listener);
    daemon.resume().await?;
    manager.until("READY=1").await?;
    assert_eq!(daemon.state().await?, "unregistered");
    let inode = fs::metadata(daemon.socket())?.ino();
    daemon.stop().await?;

    // Nobody is there; who calls now waits.
    let early = tokio::net::UnixStream::connect(daemon.socket()).await?;
    daemon.resume().await?;
    manager.until("READY=1").await?;
    let mut sender =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(early)).await?;
    tokio::spawn(sender.1);
    let request = hyper::Request::get("/v1/status")
        .header("host", "localhost")
        .header("counterfoil-client", "tests/1.0")
        .body(String::new())?;
    assert_eq!(sender.0.send_request(request).await?.status(), 200);
    assert_eq!(fs::metadata(daemon.socket())?.ino(), inode, "the manager's socket stays");
    daemon.stop().await?;
    assert!(daemon.socket().exists());
    Ok(())
}

#[tokio::test]
async fn a_passed_socket_that_the_settings_contradict_is_not_taken() -> Result<()> {
    let mut daemon = prepare()?;
    let listener = UnixListener::bind(daemon.path("other.sock"))?;
    pass(&mut daemon, listener);
    ensure!(!daemon.try_resume().await?, "started");
    assert!(daemon.log()?.contains("would have no effect"), "{}", daemon.log()?);
    Ok(())
}

#[tokio::test]
async fn the_manager_hears_that_the_server_is_silent() -> Result<()> {
    let mut server = Server::start().await?;
    let mut daemon = Daemon::prepare(tempfile::tempdir()?, &server.issuer(), SITE, "")?;
    let manager = Manager::of(&mut daemon)?;
    daemon.resume().await?;
    let connected = daemon.connect(&mut Browser::new()?, Decision::Approve).await?;
    assert_eq!(connected.status, 200, "{connected:?}");
    manager.until("STATUS=Connected to Harbour Books.").await?;
    server.kill()?;
    // A call shows it, and changes nothing of the connection.
    let called = daemon.call(Method::GET, "/v1/api/makepay/payment-links", None).await?;
    assert_eq!(called.status, 503, "{called:?}");
    manager
        .until("STATUS=Connected to Harbour Books, but what was asked last got no answer: ")
        .await?;
    Ok(())
}

#[tokio::test]
async fn the_manager_hears_how_it_is() -> Result<()> {
    let mut daemon = prepare()?;
    let manager = Manager::of(&mut daemon)?;
    daemon.resume().await?;
    manager.until("READY=1\n").await?;
    let (status, _) = manager.until("STATUS=").await?;
    assert_eq!(status, "STATUS=This store has not been connected yet.\n");

    let file = daemon.path("store.toml");
    fs::write(&file, format!("{}\nproofs = true\n", fs::read_to_string(&file)?))?;
    let (reloading, _) = manager.until("RELOADING=1\n").await?;
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").context("the time")?;
    assert!(since.trim_end().parse::<u64>()? > 0, "{reloading}");
    manager.until("READY=1\n").await?;
    daemon.stop().await?;
    let (_, before) = manager.until("STOPPING=1\n").await?;
    assert!(!before.iter().any(|message| message.starts_with("WATCHDOG")), "{before:?}");
    Ok(())
}

#[tokio::test]
async fn the_watchdog_is_fed_with_and_without_a_usable_state() -> Result<()> {
    let mut daemon = prepare()?;
    let manager = Manager::of(&mut daemon)?;
    daemon.environment.push(("WATCHDOG_USEC".to_owned(), "100000".to_owned()));
    for state in ["unregistered", "degraded"] {
        daemon.resume().await?;
        manager.until("READY=1\n").await?;
        assert_eq!(daemon.state().await?, state);
        for _ in 0..3 {
            manager.until("WATCHDOG=1\n").await?;
        }
        // Its signs of life fill the queue while nobody listens, so nothing is expected after them.
        daemon.stop().await?;
        manager.forget();
        // What is gone in the second round: the key's journal.
        if state == "unregistered" {
            fs::remove_file(daemon.path("state/journal.db"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn nobody_reads_the_daemons_memory() -> Result<()> {
    let mut daemon = prepare()?;
    let am_root = fs::metadata("/proc/self")?.uid() == 0;
    if am_root {
        // As root, the daemon is made somebody who could read what is his own.
        for place in [daemon.path(""), daemon.path("store.toml")] {
            chown(&place, Some(NOBODY), Some(NOBODY))?;
        }
        fs::set_permissions(daemon.path(""), fs::Permissions::from_mode(0o755))?;
        daemon.user = Some(NOBODY);
    }
    daemon.resume().await?;
    until("the daemon to answer", async || daemon.state().await.ok()).await?;
    let process = format!("/proc/{}", daemon.pid());
    let limits = fs::read_to_string(format!("{process}/limits"))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core.context("a limit")?.split_whitespace().skip(4).take(2).collect();
    assert_eq!(core, ["0", "0"]);
    // The kernel gives the files of a process that may not be dumped to root.
    assert_eq!(fs::metadata(format!("{process}/environ"))?.uid(), 0);

    let read = |whose: &str| {
        let mut command = Command::new("cat");
        command.arg(format!("/proc/{whose}/environ"));
        if am_root {
            std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        }
        command.output().map(|output| output.status.success())
    };
    assert!(read("self")?, "one's own is readable");
    assert!(!read(&daemon.pid().to_string())?, "the daemon's is not");
    Ok(())
}

#[tokio::test]
async fn the_commands_say_what_was_taken_over_and_what_waits() -> Result<()> {
    let mut daemon = prepare()?;
    daemon.resume().await?;
    let run = |arguments: &[&str]| {
        let output = daemon.command(arguments)?;
        anyhow::Ok((output.status.code(), String::from_utf8(output.stdout)?))
    };
    let file = daemon.path("store.toml");
    let before = fs::read_to_string(&file)?;
    // Taken over, if not by the command then by the watch: it is said once.
    fs::write(&file, format!("{before}\ntcp = \"127.0.0.1:18086\"\n"))?;
    let (code, told) = run(&["reload"])?;
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("when the daemon is started again: local.tcp."), "{told}");
    fs::write(&file, format!("{before}\nunheard = 1\n"))?;
    assert_eq!(run(&["reload"])?.0, Some(1));
    let (_, status) = run(&["status", "--json"])?;
    assert!(status.contains("unknown field `unheard`"), "{status}");
    fs::write(&file, &before)?;
    assert_eq!(run(&["reload"])?.0, Some(0));

    assert_eq!(run(&["log"])?, (Some(0), "The log's level is info.\n".to_owned()));
    // Ten minutes are told until the last of these half minutes is over.
    let (code, told) = run(&["log", "debug", "--for", "630s"])?;
    assert!(
        code == Some(0) && told.starts_with("The log's level is debug; that ends in 10 min"),
        "{told}"
    );
    daemon.state().await?;
    until("a line for a request", async || {
        daemon.log().ok().filter(|log| log.contains("/v1/status"))
    })
    .await?;
    let (_, told) = run(&["log", "error"])?;
    assert_eq!(told, "The log's level is error.\n");
    Ok(())
}
