//! Who may do what, as the kernel names them. Another user is somebody whom only root can become, so these run as root.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use world::Daemon;

use super::{NOWHERE, SITE, set_mode};

/// A user who is let in, one who may steer, and one whom nobody knows.
const GUEST: u32 = 33;
const STEWARD: u32 = 34;
const STRANGER: u32 = 4_242;

/// Asks as another user; answers the status and the code of a problem, 0 if the socket cannot be opened.
fn ask(daemon: &Daemon, uid: u32, socket: &str, method: &str, path: &str) -> Result<(u16, String)> {
    let user = uid.to_string();
    let output = Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups", "curl", "-s"])
        .args(["-w", "\n%{http_code}", "-H", "Counterfoil-Client: shop/1.0", "-X", method])
        .arg("--unix-socket")
        .arg(daemon.path(socket))
        .args(["--max-time", "60"])
        .arg(format!("http://localhost{path}"))
        .output()
        .context("setpriv and curl")?;
    let text = String::from_utf8(output.stdout)?;
    let (body, status) = text.rsplit_once('\n').context("a status")?;
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    Ok((status.parse()?, body["code"].as_str().unwrap_or_default().to_owned()))
}

#[tokio::test]
async fn every_class_of_callers_has_its_verbs() -> Result<()> {
    let me = String::from_utf8(Command::new("id").arg("-u").output()?.stdout)?;
    ensure!(me.trim() == "0", "run as root: this test becomes other users");
    for (local, guests_connect) in [
        (format!("allow_users = [{GUEST}, {STEWARD}]"), (503, "server_connection_refused")),
        (format!("allow_users = [{GUEST}]\nadmin_users = [{STEWARD}]"), (403, "steward_only")),
    ] {
        let daemon = Daemon::start(NOWHERE, SITE, &local).await?;
        // Everybody can reach the socket here, so that only the daemon itself keeps anybody out.
        set_mode(daemon.socket().parent().context("a directory")?, 0o755)?;
        set_mode(&daemon.socket(), 0o666)?;
        for (uid, method, path, expected) in [
            (GUEST, "GET", "/v1/status", (200, "")),
            (GUEST, "GET", "/healthz", (200, "")),
            (GUEST, "GET", "/v1/api/makepay/payment-links", (409, "not_connected")),
            (GUEST, "POST", "/v1/callback", (400, "body_malformed")),
            (GUEST, "POST", "/v1/connect", guests_connect),
            (GUEST, "POST", "/v1/proofs", (403, "proofs_disabled")),
            (GUEST, "POST", "/v1/ownership", (400, "body_malformed")),
            (GUEST, "POST", "/v1/admin/adopt", (403, "admin_only")),
            (GUEST, "GET", "/v1/admin/there-is-none", (403, "admin_only")),
            (STEWARD, "GET", "/v1/status", (200, "")),
            (STEWARD, "POST", "/v1/connect", (503, "server_connection_refused")),
            (STEWARD, "POST", "/v1/admin/adopt", (403, "admin_only")),
            (0, "POST", "/v1/connect", (503, "server_connection_refused")),
            (0, "POST", "/v1/admin/adopt", (403, "admin_only")),
            (STRANGER, "GET", "/v1/status", (403, "caller_refused")),
            (STRANGER, "GET", "/healthz", (403, "caller_refused")),
            (STRANGER, "POST", "/v1/ownership", (403, "caller_refused")),
            (STRANGER, "GET", "/v1/admin/adopt", (403, "caller_refused")),
            (STRANGER, "GET", "/v1/there-is-none", (403, "caller_refused")),
        ] {
            let (status, code) = ask(&daemon, uid, "api.sock", method, path)?;
            assert_eq!((status, code.as_str()), expected, "{uid} {method} {path} with {local}");
        }
        for (uid, path, expected) in [
            (0, "/v1/status", (200, "")),
            (0, "/v1/admin/there-is-none", (404, "not_found")),
            (GUEST, "/v1/status", (0, "")),
            (STEWARD, "/v1/status", (0, "")),
        ] {
            let (status, code) = ask(&daemon, uid, "admin.sock", "GET", path)?;
            assert_eq!((status, code.as_str()), expected, "{uid} {path} at the owner's socket");
        }
        // Not even a socket that was opened to all by mistake lets anybody else in.
        set_mode(&daemon.path("admin.sock"), 0o666)?;
        for uid in [GUEST, STEWARD, STRANGER] {
            let (status, code) = ask(&daemon, uid, "admin.sock", "GET", "/v1/status")?;
            assert_eq!((status, code.as_str()), (403, "caller_refused"), "{uid}");
        }
    }
    Ok(())
}
