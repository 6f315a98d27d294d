use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, callback::RedirectUri};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::{
    Sqlite, audit,
    columns::{key_opt, scope, time, time_opt, unreadable},
    grants::{PORTION, end_everything},
};
use crate::{
    audit::{Actor, AuditEvent},
    oauth::{
        client::{About, App, Client, ClientKind, FormerSecret},
        grant::EndReason,
        installation::{Address, Change, Installation, Staged, UNAPPROVED_LIFETIME},
        recovery::PERIOD,
    },
    store::{Clients, Part, RegisterOutcome, Registration, Reset, ResetReceipt, Result},
};

pub(super) const SELECT: &str = "SELECT client.id, client.name, client.scopes, client.require_nonce, client.created_at, client.kind,
    client.company_id, client.secret_hash, client.redirect_uris, client.resource_server,
    installation.platform, installation.site_url, installation.redirect_uri, installation.plugin_version,
    installation.platform_version, installation.key, installation.staged_key, installation.staged_site_url,
    installation.staged_redirect_uri, installation.staged_at, installation.registered_at, installation.approved_at,
    client.former_secret_hash, client.former_secret_ends_at, client.support, client.privacy_url, client.terms_url, client.icon,
    client.version FROM client LEFT JOIN installation ON installation.client_id = client.id";

/// A code is kept longer than it lives, for the retry of its exchange, and so is the family that it gave. A token that was
/// revoked is, for a clock that is set back: the token would be good again.
const KEPT: i64 = 2 * 24 * 3600;

/// What has passed its time, and for how many seconds it is kept after that.
const EXPIRED: &[(&str, i64)] = &[
    (
        "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE expires_at <= ? LIMIT ?)",
        0,
    ),
    (
        "DELETE FROM portal_key WHERE hash IN (SELECT hash FROM portal_key WHERE browser IS NOT NULL AND expires_at <= ? LIMIT ?)",
        0,
    ),
    (
        "DELETE FROM pushed_request WHERE hash IN (SELECT hash FROM pushed_request WHERE expires_at <= ? LIMIT ?)",
        0,
    ),
    (
        "DELETE FROM consent WHERE hash IN (SELECT hash FROM consent WHERE expires_at <= ? LIMIT ?)",
        0,
    ),
    ("DELETE FROM code WHERE hash IN (SELECT hash FROM code WHERE expires_at <= ? LIMIT ?)", KEPT),
    ("DELETE FROM family WHERE id IN (SELECT id FROM family WHERE expires_at <= ? LIMIT ?)", KEPT),
    (
        "DELETE FROM provider_attempt WHERE state IN (SELECT state FROM provider_attempt WHERE expires_at <= ? LIMIT ?)",
        0,
    ),
    (
        "DELETE FROM password_reset WHERE user_id IN (SELECT user_id FROM password_reset WHERE expires_at <= ? LIMIT ?)",
        0,
    ),
    (
        "DELETE FROM invitation WHERE id IN (SELECT id FROM invitation WHERE expires_at <= ? LIMIT ?)",
        0,
    ),
    (
        "DELETE FROM revoked_access WHERE jti IN (SELECT jti FROM revoked_access WHERE expires_at <= ? LIMIT ?)",
        KEPT,
    ),
    (
        "DELETE FROM partner_receipt WHERE (grant_id, idempotency) IN
      (SELECT grant_id, idempotency FROM partner_receipt WHERE forgotten_at <= ? LIMIT ?)",
        0,
    ),
    (
        "DELETE FROM engine_receipt WHERE idempotency IN
      (SELECT idempotency FROM engine_receipt WHERE forgotten_at <= ? LIMIT ?)",
        0,
    ),
    (
        "DELETE FROM recovery WHERE (client_id, idempotency) IN
      (SELECT client_id, idempotency FROM recovery WHERE at <= ? LIMIT ?)",
        PERIOD,
    ),
];

#[async_trait]
impl Clients for Sqlite {
    async fn client(&self, id: &str, now: UnixTime) -> Result<Option<Client>> {
        let found = self.read(|db| {
            let sql = const_format(
                " WHERE client.id = ? AND client.deleted_at IS NULL
                 AND NOT EXISTS (SELECT 1 FROM company WHERE company.id = client.company_id AND closed_at IS NOT NULL)",
            );
            Ok(db.prepare_cached(&sql)?.query_row([id], client).optional()?)
        })?;
        let lapsed = |client: &Client| client.installation().is_some_and(|i| i.has_lapsed(now));
        Ok(found.filter(|client| !lapsed(client)))
    }

    async fn installation(&self, identity: &[u8; 32]) -> Result<Option<Client>> {
        self.read(|db| {
            let sql = const_format(" WHERE installation.identity = ?");
            Ok(db.prepare_cached(&sql)?.query_row([identity], client).optional()?)
        })
    }

    async fn installations(&self, part: Part<'_>, now: UnixTime) -> Result<Vec<Client>> {
        self.read(|db| {
            let sql = const_format(
                " WHERE client.kind = 'native' AND (approved_at IS NOT NULL OR registered_at > ?)
                 AND site_url || ' ' || client.id > ? ORDER BY site_url || ' ' || client.id LIMIT ?",
            );
            let values = params![now.0 - UNAPPROVED_LIFETIME, part.after, part.limit];
            let mut statement = db.prepare_cached(&sql)?;
            Ok(statement.query_map(values, client)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn register(&self, registration: Registration) -> Result<RegisterOutcome> {
        self.write(move |db| register(db, &registration)).await
    }

    async fn reset_receipt(
        &self,
        client_id: &str,
        idempotency: &[u8; 32],
    ) -> Result<Option<ResetReceipt>> {
        self.read(|db| {
            let sql = "SELECT token_hash, key, body FROM reset_receipt WHERE client_id = ? AND idempotency = ?";
            let receipt = |row: &Row<'_>| {
                let key = counterfoil_protocol::jwk::Thumbprint(row.get(1)?);
                Ok(ResetReceipt { token_hash: row.get(0)?, key, body: row.get(2)? })
            };
            Ok(db.prepare_cached(sql)?.query_row(params![client_id, idempotency], receipt).optional()?)
        })
    }

    async fn reset(&self, reset: Reset) -> Result<String> {
        self.write(move |db| write_reset(db, &reset)).await
    }

    async fn release(&self, client_id: &str, actor: &Actor, now: UnixTime) -> Result<bool> {
        let (client_id, actor) = (client_id.to_owned(), actor.clone());
        self.write(move |db| {
            let site = "SELECT site_url FROM installation WHERE client_id = ?";
            let site: Option<String> =
                db.prepare_cached(site)?.query_row([&client_id], |row| row.get(0)).optional()?;
            let released = forget(db, &client_id)?;
            if released {
                let event = AuditEvent::new(now, "released", &actor).client(&client_id);
                audit::note(db, &event.subject(site.as_deref().unwrap_or_default()))?;
            }
            Ok(released)
        })
        .await
    }

    async fn sweep(&self, now: UnixTime) -> Result<()> {
        // In portions, each a write of its own: everybody else's writes wait behind it.
        while self.write(move |db| forget_lapsed(db, now)).await? == usize::from(PORTION) {}
        for &(sql, kept) in EXPIRED {
            let delete = move |db: &Connection| {
                Ok(db.prepare_cached(sql)?.execute(params![now.0 - kept, PORTION])?)
            };
            while self.write(delete).await? == usize::from(PORTION) {}
        }
        Ok(())
    }
}

fn const_format(condition: &str) -> String {
    format!("{SELECT}{condition}")
}

fn register(db: &Connection, registration: &Registration) -> Result<RegisterOutcome> {
    let Registration { identity, change, known, installation, now } = registration;
    if let (Change::Create, Some((client_id, _))) = (change, known) {
        let sql = "SELECT 1 FROM installation WHERE client_id = ? AND approved_at IS NULL AND registered_at <= ?";
        if db.prepare_cached(sql)?.exists(params![client_id, now.0 - UNAPPROVED_LIFETIME])? {
            forget(db, client_id)?;
        }
    }
    if *change == Change::Create {
        let taken = "SELECT 1 FROM installation WHERE identity = ?";
        if db.prepare_cached(taken)?.exists([identity])? {
            return Ok(RegisterOutcome::Raced);
        }
        let sql = "INSERT INTO client (id, kind, name, scopes, require_nonce, created_at) VALUES (?, 'native', ?, ?, ?, ?)";
        db.prepare_cached(sql)?.execute(params![
            installation.client_id,
            installation.name,
            installation.scopes,
            installation.require_nonce,
            now.0
        ])?;
        let sql = "INSERT INTO installation (client_id, identity, platform, site_url, redirect_uri, plugin_version, platform_version, key, registered_at)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        db.prepare_cached(sql)?.execute(params![
            installation.client_id,
            identity,
            installation.platform,
            installation.address.site_url,
            installation.address.redirect_uri,
            installation.plugin_version,
            installation.platform_version,
            installation.key.0,
            now.0
        ])?;
        return Ok(RegisterOutcome::Done);
    }
    let Some((client_id, key)) = known else { return Ok(RegisterOutcome::Raced) };
    let key = key.map(|key| key.0);
    // `IS` and not `=`: after a reset there is no key.
    let unchanged = "UPDATE installation SET plugin_version = ?, platform_version = ? WHERE client_id = ? AND key IS ?";
    let versions =
        params![installation.plugin_version, installation.platform_version, client_id, key];
    if db.prepare_cached(unchanged)?.execute(versions)? == 0 {
        return Ok(RegisterOutcome::Raced);
    }
    let sql = "UPDATE client SET name = ?, scopes = ?, require_nonce = ? WHERE id = ?";
    db.prepare_cached(sql)?.execute(params![
        installation.name,
        installation.scopes,
        installation.require_nonce,
        client_id
    ])?;
    match change {
        Change::Stage(Staged { key, moved_to, at }) => {
            let sql = "UPDATE installation SET staged_key = ?, staged_site_url = ?, staged_redirect_uri = ?, staged_at = ? WHERE client_id = ?";
            let (site_url, redirect_uri) =
                moved_to.as_ref().map(|to| (&to.site_url, &to.redirect_uri)).unzip();
            db.prepare_cached(sql)?.execute(params![
                key.0,
                site_url,
                redirect_uri,
                at.0,
                client_id
            ])?;
        }
        Change::Rekey => {
            let sql = "UPDATE installation SET key = ? WHERE client_id = ?";
            db.prepare_cached(sql)?.execute(params![installation.key.0, client_id])?;
            // A receipt is never replaced, so the last one has the key that the store was reset with.
            let sql =
                "SELECT key FROM reset_receipt WHERE client_id = ? ORDER BY number DESC LIMIT 1";
            let former: Option<[u8; 32]> =
                db.prepare_cached(sql)?.query_row([client_id], |row| row.get(0)).optional()?;
            if former != Some(installation.key.0) {
                let actor = Actor::Client(client_id.clone());
                let event = AuditEvent::new(*now, "new_key_after_reset", &actor).client(client_id);
                audit::note(db, &event)?;
            }
        }
        Change::Create | Change::Refresh => {}
    }
    Ok(RegisterOutcome::Done)
}

fn write_reset(db: &Connection, reset: &Reset) -> Result<String> {
    let receipt = "SELECT body FROM reset_receipt WHERE client_id = ? AND idempotency = ?";
    let kept = db
        .prepare_cached(receipt)?
        .query_row(params![reset.client_id, reset.idempotency], |row| row.get(0))
        .optional()?;
    if let Some(body) = kept {
        return Ok(body);
    }
    let sql = "UPDATE installation SET key = NULL, staged_key = NULL, staged_site_url = NULL, staged_redirect_uri = NULL, staged_at = NULL WHERE client_id = ?";
    db.prepare_cached(sql)?.execute([&reset.client_id])?;
    end_everything(db, &reset.client_id, None, EndReason::Reset, reset.now)?;
    let actor = Actor::Client(reset.client_id.clone());
    let event = AuditEvent::new(reset.now, "reset", &actor).client(&reset.client_id);
    audit::note(db, &event)?;
    let subscriptions = disable_subscriptions(db, &reset.client_id, reset.now)?;
    let body = json!({
        "client_id": reset.client_id,
        "reset": true,
        "resetMutationId": reset.mutation_id,
        "historicalDeliveryPreserved": true,
        "signingSecretChanged": false,
        "preservedWebhookSubscriptionIds": subscriptions,
    })
    .to_string();
    let sql = "INSERT INTO reset_receipt (client_id, idempotency, token_hash, key, body) VALUES (?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        reset.client_id,
        reset.idempotency,
        reset.token_hash,
        reset.key.0,
        body
    ])?;
    Ok(body)
}

/// Disables every webhook subscription of a client. They keep endpoint, secret and id, which are answered in order.
fn disable_subscriptions(db: &Connection, client_id: &str, now: UnixTime) -> Result<Vec<String>> {
    let sql = "UPDATE webhook_subscription SET active = 0, updated_at = ?1, version = version + 1
               WHERE active AND grant_id IN (SELECT id FROM grants WHERE client_id = ?2)";
    db.prepare_cached(sql)?.execute(params![now.0, client_id])?;
    let sql = "SELECT webhook_subscription.id FROM webhook_subscription JOIN grants ON grants.id = grant_id
               WHERE client_id = ? ORDER BY 1";
    let ids = db
        .prepare_cached(sql)?
        .query_map([client_id], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(ids)
}

/// Forgets installations that nobody approved in time; answers how many.
fn forget_lapsed(db: &Connection, now: UnixTime) -> Result<usize> {
    let sql = "SELECT client_id FROM installation WHERE approved_at IS NULL AND registered_at <= ? LIMIT ?";
    let lapsed: Vec<String> = db
        .prepare_cached(sql)?
        .query_map(params![now.0 - UNAPPROVED_LIFETIME, PORTION], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for client_id in &lapsed {
        forget(db, client_id)?;
    }
    Ok(lapsed.len())
}

fn forget(db: &Connection, client_id: &str) -> Result<bool> {
    db.prepare_cached("DELETE FROM installation WHERE client_id = ?")?.execute([client_id])?;
    let removed = db
        .prepare_cached("DELETE FROM client WHERE id = ? AND kind = 'native'")?
        .execute([client_id])?;
    Ok(removed == 1)
}

pub(super) fn client(row: &Row<'_>) -> rusqlite::Result<Client> {
    let kind = match row.get_ref(5)?.as_str()? {
        "native" => ClientKind::Native(installation(row)?),
        _ => ClientKind::App(app(row)?),
    };
    Ok(Client {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: scope(row, 2)?,
        require_nonce: row.get(3)?,
        created_at: time(row, 4)?,
        kind,
    })
}

fn app(row: &Row<'_>) -> rusqlite::Result<App> {
    let redirect_uris: Vec<String> =
        serde_json::from_str(row.get_ref(8)?.as_str()?).map_err(unreadable)?;
    let redirect_uris = redirect_uris
        .iter()
        .map(|uri| RedirectUri::parse(uri))
        .collect::<std::result::Result<_, _>>();
    let former_secret = match (row.get(22)?, time_opt(row, 23)?) {
        (Some(hash), Some(ends_at)) => Some(FormerSecret { hash, ends_at }),
        _ => None,
    };
    Ok(App {
        company_id: row.get(6)?,
        secret_hash: row.get(7)?,
        former_secret,
        redirect_uris: redirect_uris.map_err(unreadable)?,
        resource_server: row.get(9)?,
        about: About {
            support: row.get(24)?,
            privacy_url: row.get(25)?,
            terms_url: row.get(26)?,
            icon: row.get(27)?,
        },
        version: row.get(28)?,
    })
}

fn installation(row: &Row<'_>) -> rusqlite::Result<Installation> {
    let staged = match key_opt(row, 16)? {
        None => None,
        Some(key) => {
            let moved_to =
                match (row.get::<_, Option<String>>(17)?, row.get::<_, Option<String>>(18)?) {
                    (Some(site_url), Some(redirect_uri)) => {
                        Some(Address { site_url, redirect_uri })
                    }
                    _ => None,
                };
            Some(Staged { key, moved_to, at: time(row, 19)? })
        }
    };
    Ok(Installation {
        platform: row.get(10)?,
        site_url: row.get(11)?,
        redirect_uri: row.get(12)?,
        plugin_version: row.get(13)?,
        platform_version: row.get(14)?,
        key: key_opt(row, 15)?,
        staged,
        registered_at: time(row, 20)?,
        approved_at: time_opt(row, 21)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);
    const TABLES: [&str; 5] = ["installation", "pushed_request", "consent", "session", "recovery"];

    fn counts(store: &Sqlite) -> Vec<i64> {
        let count = |db: &Connection, table: &str| {
            Ok(db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
        };
        store.read(|db| TABLES.iter().map(|table| count(db, table)).collect()).expect("counts")
    }

    #[tokio::test]
    async fn a_flood_of_requests_is_gone_when_it_has_expired() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Sqlite::open(directory.path()).expect("opens");
        let flood = format!(
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3 * {PORTION} + 1)"
        );
        let script = format!(
            "INSERT INTO user VALUES ('ann', 'a@b', 'x', 0, NULL);
             {flood} INSERT INTO client (id, kind, name, scopes, created_at) SELECT i, 'native', 'x', 'x', 0 FROM n;
             {flood} INSERT INTO installation (client_id, identity, platform, site_url, redirect_uri, plugin_version, registered_at)
             SELECT i, CAST(i AS BLOB), 'wordpress', 'x', 'x', 'x', {registered} FROM n;
             INSERT INTO client (id, kind, name, scopes, created_at) VALUES ('app', 'app', 'x', 'x', 0);
             {flood} INSERT INTO pushed_request (hash, client_id, request, expires_at)
             SELECT CAST(i AS BLOB), 'app', 'x', {now} - (i > 1) FROM n;
             {flood} INSERT INTO consent (hash, session_hash, user_id, client_id, request, expires_at)
             SELECT CAST(i AS BLOB), x'00', 'ann', 'app', 'x', {now} - (i > 1) FROM n;
             {flood} INSERT INTO session (hash, user_id, created_at, expires_at) SELECT CAST(i AS BLOB), 'ann', 0, {now} - (i > 1) FROM n;
             {flood} INSERT INTO recovery (client_id, idempotency, family, at, after_reuse, receipt, receipt_kid)
             SELECT 'app', CAST(i AS BLOB), x'00', {recovered} - (i > 1), 0, x'00', 'x' FROM n;",
            recovered = NOW.0 - PERIOD + 1,
            registered = NOW.0 - UNAPPROVED_LIFETIME,
            now = NOW.0 + 1,
        );
        store.write(move |db| Ok(db.execute_batch(&script)?)).await.expect("fills");
        assert_eq!(counts(&store), [i64::from(3 * PORTION + 1); 5]);
        store.sweep(NOW).await.expect("sweeps");
        assert_eq!(counts(&store), [0, 1, 1, 1, 1]);
    }
}
