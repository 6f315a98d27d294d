use async_trait::async_trait;
use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{
    Sqlite, audit,
    columns::{time, unreadable},
    partner::{hindrance, keep, to_json},
};
use crate::{
    audit::{Actor, AuditEvent},
    partner::{
        amount::Amount,
        customer::Customer,
        json::Json,
        recurring::{Interval, Recurring, Standing},
        settings::KeptSettings,
        wallet::{Entry, Wallet},
    },
    store::{
        Commerce, CompanyWrite, Imported, Listed, Page, PartnerWrite, Result, StoreError,
        WalletImport,
    },
};

/// Columns of a customer; `customer` reads them.
const CUSTOMER: &str =
    "SELECT id, company_id, facts, metadata, created_at, updated_at, version FROM customer";

/// Columns of a subscription; `recurring` reads them.
const RECURRING: &str =
    "SELECT id, company_id, customer_id, amount, currency, interval, interval_count, anchor, status, description, metadata,
     created_at, updated_at, version FROM recurring";

/// Where one comes after another in its company, newest first: `?1` the company, `?2` the other, `?3` how many.
pub(super) const AFTER: &str =
    " WHERE company_id = ?1 AND position < ?2 ORDER BY position DESC LIMIT ?3";

pub(super) const ACTIVITY: &str =
    "SELECT entry FROM wallet_entry WHERE company_id = ?1 AND (at, id) < (?2, ?3)
     ORDER BY at DESC, id DESC LIMIT ?4";

#[async_trait]
impl Commerce for Sqlite {
    async fn write_customer(&self, write: CompanyWrite<Customer>) -> Result<PartnerWrite> {
        self.write(move |db| write_customer(db, &write)).await
    }

    async fn customer(&self, company_id: &str, id: &str) -> Result<Option<Customer>> {
        self.read(|db| one(db, CUSTOMER, (company_id, id), customer))
    }

    async fn customers(&self, company_id: &str, page: &Page) -> Result<Listed<Customer>> {
        self.read(|db| listed(db, (CUSTOMER, "customer"), company_id, page, customer))
    }

    async fn write_recurring(&self, write: CompanyWrite<Recurring>) -> Result<PartnerWrite> {
        self.write(move |db| write_recurring(db, &write)).await
    }

    async fn recurring(&self, company_id: &str, id: &str) -> Result<Option<Recurring>> {
        self.read(|db| one(db, RECURRING, (company_id, id), recurring))
    }

    async fn recurrings(&self, company_id: &str, page: &Page) -> Result<Listed<Recurring>> {
        self.read(|db| listed(db, (RECURRING, "recurring"), company_id, page, recurring))
    }

    async fn merchant_settings(&self, company_id: &str) -> Result<Option<KeptSettings>> {
        self.read(|db| {
            let sql =
                "SELECT settings, updated_at, version FROM merchant_settings WHERE company_id = ?";
            let kept = |row: &Row<'_>| {
                Ok(KeptSettings {
                    company_id: company_id.to_owned(),
                    settings: serde_json::from_str(row.get_ref(0)?.as_str()?)
                        .map_err(unreadable)?,
                    updated_at: time(row, 1)?,
                    version: row.get(2)?,
                })
            };
            Ok(db.prepare_cached(sql)?.query_row([company_id], kept).optional()?)
        })
    }

    async fn write_merchant_settings(
        &self,
        write: CompanyWrite<KeptSettings>,
    ) -> Result<PartnerWrite> {
        self.write(move |db| write_settings(db, &write)).await
    }

    async fn import_wallets(
        &self,
        imports: Vec<WalletImport>,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Imported> {
        let actor = actor.clone();
        self.write(move |db| import(db, &imports, &actor, now)).await
    }

    async fn wallet(&self, company_id: &str) -> Result<Option<Wallet>> {
        self.read(|db| {
            let sql = "SELECT as_of, balances FROM wallet WHERE company_id = ?";
            let wallet = |row: &Row<'_>| {
                let balances = serde_json::from_str(row.get_ref(1)?.as_str()?);
                Ok(Wallet { as_of: time(row, 0)?, balances: balances.map_err(unreadable)? })
            };
            Ok(db.prepare_cached(sql)?.query_row([company_id], wallet).optional()?)
        })
    }

    async fn wallet_activity(&self, company_id: &str, page: &Page) -> Result<Listed<Entry>> {
        self.read(|db| activity(db, company_id, page))
    }
}

fn write_customer(db: &Connection, write: &CompanyWrite<Customer>) -> Result<PartnerWrite> {
    let CompanyWrite { thing: customer, grant_id, receipt, now } = write;
    if let Some(hindrance) = hindrance(db, grant_id, receipt.as_ref(), *now)? {
        return Ok(hindrance);
    }
    let sql = if customer.version == 1 {
        "INSERT INTO customer (id, company_id, facts, metadata, created_at, updated_at, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    } else {
        "UPDATE customer SET facts = ?3, metadata = ?4, created_at = ?5, updated_at = ?6, version = ?7
         WHERE id = ?1 AND company_id = ?2 AND version = ?7 - 1"
    };
    let changed = db.prepare_cached(sql)?.execute(params![
        customer.id,
        customer.company_id,
        to_json(&customer.facts)?,
        customer.metadata.as_str(),
        customer.created_at.0,
        customer.updated_at.0,
        customer.version
    ])?;
    if changed == 0 { Ok(PartnerWrite::Raced) } else { keep(db, grant_id, receipt.as_ref()) }
}

fn write_recurring(db: &Connection, write: &CompanyWrite<Recurring>) -> Result<PartnerWrite> {
    let CompanyWrite { thing: recurring, grant_id, receipt, now } = write;
    if let Some(hindrance) = hindrance(db, grant_id, receipt.as_ref(), *now)? {
        return Ok(hindrance);
    }
    let theirs = "SELECT 1 FROM customer WHERE id = ? AND company_id = ?";
    let customer = [&recurring.customer_id, &recurring.company_id];
    if !db.prepare_cached(theirs)?.exists(customer)? {
        return Ok(PartnerWrite::NoCustomer);
    }
    let sql = if recurring.version == 1 {
        "INSERT INTO recurring (id, company_id, customer_id, amount, currency, interval, interval_count, anchor, status,
         description, metadata, created_at, updated_at, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    } else {
        "UPDATE recurring SET amount = ?4, currency = ?5, interval = ?6, interval_count = ?7, anchor = ?8, status = ?9,
         description = ?10, metadata = ?11, created_at = ?12, updated_at = ?13, version = ?14
         WHERE id = ?1 AND company_id = ?2 AND customer_id = ?3 AND version = ?14 - 1"
    };
    let changed = db.prepare_cached(sql)?.execute(params![
        recurring.id,
        recurring.company_id,
        recurring.customer_id,
        recurring.amount.as_str(),
        recurring.currency,
        recurring.interval.as_str(),
        recurring.interval_count,
        recurring.anchor.to_string(),
        recurring.status.as_str(),
        recurring.description,
        recurring.metadata.as_str(),
        recurring.created_at.0,
        recurring.updated_at.0,
        recurring.version
    ])?;
    if changed == 0 { Ok(PartnerWrite::Raced) } else { keep(db, grant_id, receipt.as_ref()) }
}

fn write_settings(db: &Connection, write: &CompanyWrite<KeptSettings>) -> Result<PartnerWrite> {
    let CompanyWrite { thing: kept, grant_id, receipt, now } = write;
    if let Some(hindrance) = hindrance(db, grant_id, receipt.as_ref(), *now)? {
        return Ok(hindrance);
    }
    let sql = if kept.version == 1 {
        "INSERT INTO merchant_settings (company_id, settings, updated_at, version) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (company_id) DO NOTHING"
    } else {
        "UPDATE merchant_settings SET settings = ?2, updated_at = ?3, version = ?4 WHERE company_id = ?1 AND version = ?4 - 1"
    };
    let settings = to_json(&kept.settings)?;
    let row = params![kept.company_id, settings, kept.updated_at.0, kept.version];
    if db.prepare_cached(sql)?.execute(row)? == 0 {
        return Ok(PartnerWrite::Raced);
    }
    let holder: (&str, &dyn ToSql) = (audit::GRANT, grant_id);
    audit::by_holder(db, *now, "merchant_settings_changed", "", holder)?;
    keep(db, grant_id, receipt.as_ref())
}

fn import(
    db: &Connection,
    imports: &[WalletImport],
    actor: &Actor,
    now: UnixTime,
) -> Result<Imported> {
    let mut imported = Imported::default();
    for WalletImport { company_id, as_of, balances, activity } in imports {
        let sql = "INSERT INTO wallet (company_id, as_of, balances) VALUES (?1, ?2, ?3)
                   ON CONFLICT (company_id) DO UPDATE SET as_of = ?2, balances = ?3
                   WHERE as_of < ?2 OR (as_of = ?2 AND balances <> ?3)";
        let row = params![company_id, as_of.0, to_json(balances)?];
        let set = db.prepare_cached(sql)?.execute(row)?;
        let mut entries = 0;
        for entry in activity {
            let sql = "INSERT INTO wallet_entry (company_id, id, at, entry) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (company_id, id) DO UPDATE SET at = ?3, entry = ?4 WHERE entry <> ?4";
            let row = params![company_id, entry.id, entry.at.0, to_json(entry)?];
            entries += db.prepare_cached(sql)?.execute(row)?;
        }
        if set + entries > 0 {
            let detail = format!("balances set: {set}; entries: {entries}");
            let event = AuditEvent::new(now, "wallet_imported", actor).company(company_id);
            audit::note(db, &event.detail(&detail))?;
        }
        imported.balances += set;
        imported.left_alone += 1 - set;
        imported.entries += entries;
    }
    Ok(imported)
}

fn activity(db: &Connection, company_id: &str, page: &Page) -> Result<Listed<Entry>> {
    let end = match &page.after {
        None => (i64::MAX, String::new()),
        Some(after) => {
            let sql = "SELECT at, id FROM wallet_entry WHERE company_id = ? AND id = ?";
            let place = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let place = db.prepare_cached(sql)?.query_row([company_id, after], place).optional()?;
            let Some(place) = place else { return Ok(None) };
            place
        }
    };
    let mut statement = db.prepare_cached(ACTIVITY)?;
    let entry = |row: &Row<'_>| serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(unreadable);
    let entries = statement.query_map(params![company_id, end.0, end.1, page.limit], entry)?;
    Ok(Some(entries.collect::<rusqlite::Result<_>>()?))
}

/// One row of a company, by its id.
fn one<T>(
    db: &Connection,
    select: &str,
    (company_id, id): (&str, &str),
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>> {
    let sql = format!("{select} WHERE id = ? AND company_id = ?");
    Ok(db.prepare_cached(&sql)?.query_row([id, company_id], read).optional()?)
}

/// The rows of a company, newest first.
fn listed<T>(
    db: &Connection,
    (select, table): (&str, &str),
    company_id: &str,
    page: &Page,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Listed<T>> {
    let place = format!("SELECT position FROM {table} WHERE id = ? AND company_id = ?");
    let Some(before) = place_of(db, &place, page, company_id)? else { return Ok(None) };
    let mut statement = db.prepare_cached(&format!("{select}{AFTER}"))?;
    let rows = statement.query_map(params![company_id, before, page.limit], read)?;
    Ok(Some(rows.collect::<rusqlite::Result<_>>()?))
}

/// The position below which a page begins: that of the row it comes after, which must be the owner's own.
pub(super) fn place_of(
    db: &Connection,
    sql: &str,
    page: &Page,
    owner: &str,
) -> Result<Option<i64>> {
    let Some(after) = &page.after else { return Ok(Some(i64::MAX)) };
    Ok(db.prepare_cached(sql)?.query_row([after, owner], |row| row.get(0)).optional()?)
}

fn customer(row: &Row<'_>) -> rusqlite::Result<Customer> {
    Ok(Customer {
        id: row.get(0)?,
        company_id: row.get(1)?,
        facts: serde_json::from_str(row.get_ref(2)?.as_str()?).map_err(unreadable)?,
        metadata: Json::parse(row.get(3)?).map_err(unreadable)?,
        created_at: time(row, 4)?,
        updated_at: time(row, 5)?,
        version: row.get(6)?,
    })
}

fn recurring(row: &Row<'_>) -> rusqlite::Result<Recurring> {
    let corrupt = || unreadable(StoreError::Corrupt("a subscription of no known terms"));
    Ok(Recurring {
        id: row.get(0)?,
        company_id: row.get(1)?,
        customer_id: row.get(2)?,
        amount: Amount::parse(row.get_ref(3)?.as_str()?).ok_or_else(corrupt)?,
        currency: row.get(4)?,
        interval: Interval::parse(row.get_ref(5)?.as_str()?).ok_or_else(corrupt)?,
        interval_count: row.get(6)?,
        anchor: row.get_ref(7)?.as_str()?.parse().map_err(unreadable)?,
        status: Standing::parse(row.get_ref(8)?.as_str()?).ok_or_else(corrupt)?,
        description: row.get(9)?,
        metadata: Json::parse(row.get(10)?).map_err(unreadable)?,
        created_at: time(row, 11)?,
        updated_at: time(row, 12)?,
        version: row.get(13)?,
    })
}
