use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, callback::RedirectUri};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::{
    Sqlite, audit,
    clients::{SELECT, client},
    grants::end_everything,
};
use crate::{
    audit::{Actor, AuditEvent},
    oauth::{
        application::Settings,
        client::{App, Client},
        grant::EndReason,
    },
    store::{AddedApp, AppChange, Applications, Changed, Edit, Part, Picture, Result, StoreError},
};

/// The companies that approved a client and did not end it; those of the client's own grants have no person.
pub(super) const CONNECTED: &str =
    "SELECT count(*) FROM grants WHERE client_id = ? AND revoked_at IS NULL
    AND redeemed_at IS NOT NULL AND user_id IS NOT NULL";

/// The part ?3 of a list by name, after the application ?2.
macro_rules! after {
    () => {
        "(?2 = '' OR (client.name, client.id) > (SELECT name, id FROM client WHERE id = ?2))
         ORDER BY client.name, client.id LIMIT ?3"
    };
}

/// The applications of a company.
pub(super) const OF_COMPANY: &str =
    concat!(" WHERE client.company_id = ?1 AND client.deleted_at IS NULL AND ", after!());

const OF_ALL: &str = concat!(
    " WHERE ?1 IS NULL AND client.kind = 'app' AND client.deleted_at IS NULL
     AND NOT EXISTS (SELECT 1 FROM company WHERE company.id = client.company_id AND closed_at IS NOT NULL) AND ",
    after!()
);

const ONE_OF_COMPANY: &str =
    " WHERE client.id = ? AND client.company_id = ? AND client.deleted_at IS NULL";

/// Forgets a picture that no application shows.
pub(super) const FORGET_PICTURE: &str = "DELETE FROM icon WHERE hash = ?1
    AND NOT EXISTS (SELECT 1 FROM client WHERE client.icon IS NOT NULL AND client.icon = ?1)";

#[async_trait]
impl Applications for Sqlite {
    async fn add_app(&self, app: Client, by: &Actor, most: usize) -> Result<AddedApp> {
        let by = by.clone();
        self.write(move |db| add(db, &app, &by, most)).await
    }

    async fn apps(&self, company_id: Option<&str>, part: Part<'_>) -> Result<Vec<Client>> {
        self.read(|db| {
            let condition = if company_id.is_some() { OF_COMPANY } else { OF_ALL };
            let mut statement = db.prepare_cached(&format!("{SELECT}{condition}"))?;
            let values = params![company_id, part.after, part.limit];
            let apps = statement.query_map(values, client)?;
            Ok(apps.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn change_app(&self, edit: Edit, change: AppChange) -> Result<Changed> {
        self.write(move |db| write_change(db, &edit, change)).await
    }

    async fn connected_to(&self, client_id: &str) -> Result<usize> {
        self.read(|db| {
            let count: i64 =
                db.prepare_cached(CONNECTED)?.query_row([client_id], |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or_default())
        })
    }

    async fn delete_app(
        &self,
        client_id: &str,
        company_id: &str,
        by: &Actor,
        now: UnixTime,
    ) -> Result<Option<usize>> {
        let (client_id, company_id, by) = (client_id.to_owned(), company_id.to_owned(), by.clone());
        self.write(move |db| delete(db, &client_id, &company_id, &by, now)).await
    }

    async fn picture(&self, hash: &str) -> Result<Option<Vec<u8>>> {
        self.read(|db| {
            let sql = "SELECT png FROM icon WHERE hash = ?";
            Ok(db.prepare_cached(sql)?.query_row([hash], |row| row.get(0)).optional()?)
        })
    }
}

fn add(db: &Connection, app: &Client, by: &Actor, most: usize) -> Result<AddedApp> {
    let details = details(app)?;
    let known = "SELECT 1 FROM client WHERE id = ?";
    if db.prepare_cached(known)?.exists([&app.id])? {
        return Ok(AddedApp::Known);
    }
    let open = "SELECT 1 FROM company WHERE id = ? AND closed_at IS NULL";
    if !db.prepare_cached(open)?.exists([&details.company_id])? {
        return Ok(AddedApp::Closed);
    }
    let count = "SELECT count(*) FROM client WHERE company_id = ? AND deleted_at IS NULL";
    let count: i64 =
        db.prepare_cached(count)?.query_row([&details.company_id], |row| row.get(0))?;
    if usize::try_from(count).unwrap_or_default() >= most {
        return Ok(AddedApp::Full);
    }
    let sql = "INSERT INTO client (id, kind, name, scopes, require_nonce, created_at, company_id, secret_hash,
               redirect_uris, resource_server, support, privacy_url, terms_url, version)
               VALUES (?, 'app', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        app.id,
        app.name,
        app.scopes.to_string(),
        app.require_nonce,
        app.created_at.0,
        details.company_id,
        details.secret_hash,
        texts(&details.redirect_uris),
        details.resource_server,
        details.about.support,
        details.about.privacy_url,
        details.about.terms_url,
        details.version
    ])?;
    let event = AuditEvent::new(app.created_at, "app_added", by).subject(&app.name);
    audit::note(db, &event.client(&app.id).company(&details.company_id))?;
    Ok(AddedApp::Added)
}

fn write_change(db: &Connection, edit: &Edit, change: AppChange) -> Result<Changed> {
    let Some(app) = find(db, &edit.client_id, &edit.company_id)? else {
        return Ok(Changed::Unknown);
    };
    let before = details(&app)?;
    if before.version != edit.version {
        return Ok(Changed::Raced);
    }
    let (event, detail) = match change {
        AppChange::Settings(settings) => {
            let detail = differences(&app, before, &settings);
            write_settings(db, &app.id, &settings)?;
            ("app_changed", detail)
        }
        AppChange::Icon(picture) => {
            let word = if picture.is_some() { "set" } else { "removed" };
            write_picture(db, &app.id, before.about.icon.as_deref(), picture)?;
            ("app_icon_changed", word.to_owned())
        }
        AppChange::Secret(hash, former_ends_at) => {
            if before.secret_hash.is_none() {
                return Ok(Changed::Raced);
            }
            let sql = "UPDATE client SET former_secret_hash = iif(?2 IS NULL, NULL, secret_hash),
                       former_secret_ends_at = ?2, secret_hash = ?1 WHERE id = ?3";
            let end = former_ends_at.map(|time| time.0);
            db.prepare_cached(sql)?.execute(params![hash, end, app.id])?;
            let detail = end.map_or("the one before ended".to_owned(), |end| {
                format!("the one before ends at {end}")
            });
            ("app_secret_rotated", detail)
        }
        AppChange::EndFormerSecret => {
            if before.former_secret_at(edit.now).is_none() {
                return Ok(Changed::Raced);
            }
            let sql = "UPDATE client SET former_secret_hash = NULL, former_secret_ends_at = NULL WHERE id = ?";
            db.prepare_cached(sql)?.execute([&app.id])?;
            ("app_former_secret_ended", String::new())
        }
    };
    db.prepare_cached("UPDATE client SET version = version + 1 WHERE id = ?")?
        .execute([&app.id])?;
    let event = AuditEvent::new(edit.now, event, &edit.by).detail(&detail);
    audit::note(db, &event.client(&app.id).company(&edit.company_id))?;
    Ok(Changed::Done)
}

fn write_settings(db: &Connection, client_id: &str, settings: &Settings) -> Result<()> {
    let sql = "UPDATE client SET name = ?, scopes = ?, redirect_uris = ?, support = ?, privacy_url = ?, terms_url = ?
               WHERE id = ?";
    db.prepare_cached(sql)?.execute(params![
        settings.name,
        settings.scopes.to_string(),
        texts(&settings.redirect_uris),
        settings.support,
        settings.privacy_url,
        settings.terms_url,
        client_id
    ])?;
    Ok(())
}

fn write_picture(
    db: &Connection,
    client_id: &str,
    before: Option<&str>,
    picture: Option<Picture>,
) -> Result<()> {
    let hash = picture.as_ref().map(|picture| picture.hash.clone());
    if let Some(Picture { hash, png }) = picture {
        let sql = "INSERT INTO icon (hash, png) VALUES (?, ?) ON CONFLICT DO NOTHING";
        db.prepare_cached(sql)?.execute(params![hash, png])?;
    }
    db.prepare_cached("UPDATE client SET icon = ? WHERE id = ?")?
        .execute(params![hash, client_id])?;
    if let Some(before) = before {
        db.prepare_cached(FORGET_PICTURE)?.execute([before])?;
    }
    Ok(())
}

fn delete(
    db: &Connection,
    client_id: &str,
    company_id: &str,
    by: &Actor,
    now: UnixTime,
) -> Result<Option<usize>> {
    let Some(app) = find(db, client_id, company_id)? else { return Ok(None) };
    let standing = "SELECT company_id FROM grants WHERE client_id = ? AND revoked_at IS NULL ORDER BY company_id";
    let companies: Vec<String> = db
        .prepare_cached(standing)?
        .query_map([client_id], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    end_everything(db, client_id, None, EndReason::Deleted, now)?;
    write_picture(db, client_id, details(&app)?.about.icon.as_deref(), None)?;
    let sql = "UPDATE client SET deleted_at = ?, secret_hash = NULL, former_secret_hash = NULL,
               former_secret_ends_at = NULL, version = version + 1 WHERE id = ?";
    db.prepare_cached(sql)?.execute(params![now.0, client_id])?;
    let event = AuditEvent::new(now, "app_deleted", by).subject(&app.name);
    audit::note(db, &event.client(client_id).company(company_id))?;
    for company in &companies {
        let event = AuditEvent::new(now, "grant_ended", by).detail(EndReason::Deleted.as_str());
        audit::note(db, &event.client(client_id).company(company))?;
    }
    Ok(Some(companies.len()))
}

fn find(db: &Connection, client_id: &str, company_id: &str) -> Result<Option<Client>> {
    let sql = format!("{SELECT}{ONE_OF_COMPANY}");
    Ok(db.prepare_cached(&sql)?.query_row([client_id, company_id], client).optional()?)
}

fn details(app: &Client) -> Result<&App> {
    app.app().ok_or(StoreError::Corrupt("an installation is no application"))
}

/// The names of what is changed.
fn differences(app: &Client, before: &App, settings: &Settings) -> String {
    let about = &before.about;
    let changed = [
        ("name", app.name != settings.name),
        ("redirect_uris", before.redirect_uris != settings.redirect_uris),
        ("scopes", app.scopes != settings.scopes),
        ("support", about.support != settings.support),
        ("privacy_url", about.privacy_url != settings.privacy_url),
        ("terms_url", about.terms_url != settings.terms_url),
    ];
    let names = changed.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name);
    names.collect::<Vec<_>>().join(" ")
}

fn texts(uris: &[RedirectUri]) -> String {
    json!(uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>()).to_string()
}
