use async_trait::async_trait;
use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Sqlite,
    columns::{key_opt, time, unreadable},
    commerce::place_of,
    grants::standing,
    webhooks::outbox,
};
use crate::{
    partner::{
        access::TokenNames,
        amount::Amount,
        event::EventKind,
        json::Json,
        link::{LinkStatus, PaymentLink},
        receipt::Receipt,
        subscription::{SealedSecret, Subscription},
    },
    store::{
        Company, Holder, KeptReceipt, LinkChange, Listed, NewLink, Page, Partner, PartnerWrite,
        Result, SecretChange, StoreError, SubscriptionChange,
    },
};

pub(super) const HOLDER: &str = concat!(
    "SELECT client.require_nonce, installation.platform, company.id, company.name FROM grants
     JOIN client ON client.id = grants.client_id JOIN company ON company.id = grants.company_id
     LEFT JOIN installation ON installation.client_id = client.id ",
    standing!(),
    " AND client.id = ?5 AND company.closed_at IS NULL"
);

/// The columns of a payment link; `link` reads them.
macro_rules! link_columns {
    ($($more:literal)?) => {
        concat!(
            "SELECT id, uid, grant_id, status, amount, facts, metadata, payload, settlement, session, created_at, updated_at,
             version",
            $($more,)?
            " FROM payment_link "
        )
    };
}
pub(super) use link_columns;

pub(super) const LINKS: &str =
    concat!(link_columns!(), "WHERE grant_id = ? AND position < ? ORDER BY position DESC LIMIT ?");

#[async_trait]
impl Partner for Sqlite {
    async fn token_holder(&self, names: &TokenNames<'_>, now: UnixTime) -> Result<Option<Holder>> {
        let TokenNames { jti, client_id, grant_id, family } = *names;
        self.read(|db| {
            let holder = |row: &Row<'_>| {
                Ok(Holder {
                    client_id: client_id.to_owned(),
                    platform: row.get(1)?,
                    require_nonce: row.get(0)?,
                    grant_id: grant_id.to_owned(),
                    company: Company { id: row.get(2)?, name: row.get(3)? },
                })
            };
            let names = params![jti, grant_id, family, now.0, client_id];
            Ok(db.prepare_cached(HOLDER)?.query_row(names, holder).optional()?)
        })
    }

    async fn partner_receipt(
        &self,
        grant_id: &str,
        idempotency: &[u8; 32],
    ) -> Result<Option<Receipt>> {
        self.read(|db| {
            let sql = "SELECT request, key, sealed, given_at, forgotten_at FROM partner_receipt
                       WHERE grant_id = ? AND idempotency = ?";
            let receipt = |row: &Row<'_>| {
                Ok(Receipt {
                    request: row.get(0)?,
                    key: key_opt(row, 1)?,
                    sealed: row.get(2)?,
                    given_at: time(row, 3)?,
                    forgotten_at: time(row, 4)?,
                })
            };
            let keys = params![grant_id, idempotency];
            Ok(db.prepare_cached(sql)?.query_row(keys, receipt).optional()?)
        })
    }

    async fn create_payment_link(&self, new: NewLink) -> Result<PartnerWrite> {
        self.write(move |db| create_link(db, &new)).await
    }

    async fn change_payment_link(&self, change: LinkChange) -> Result<PartnerWrite> {
        self.write(move |db| change_link(db, &change)).await
    }

    async fn payment_link(&self, uid: &str) -> Result<Option<PaymentLink>> {
        self.read(|db| {
            let sql = concat!(link_columns!(), "WHERE uid = ?");
            Ok(db.prepare_cached(sql)?.query_row([uid], link).optional()?)
        })
    }

    async fn payment_links(&self, grant_id: &str, page: &Page) -> Result<Listed<PaymentLink>> {
        self.read(|db| {
            let place = "SELECT position FROM payment_link WHERE uid = ? AND grant_id = ?";
            let Some(before) = place_of(db, place, page, grant_id)? else { return Ok(None) };
            let mut statement = db.prepare_cached(LINKS)?;
            let links = statement.query_map(params![grant_id, before, page.limit], link)?;
            Ok(Some(links.collect::<rusqlite::Result<_>>()?))
        })
    }

    async fn webhook_subscription(&self, grant_id: &str) -> Result<Option<Subscription>> {
        self.read(|db| {
            let sql = "SELECT id, grant_id, url, events, active, description, metadata, secret, secret_last4, created_at,
                       updated_at, version FROM webhook_subscription WHERE grant_id = ?";
            Ok(db.prepare_cached(sql)?.query_row([grant_id], subscription).optional()?)
        })
    }

    async fn change_webhook_subscription(
        &self,
        change: SubscriptionChange,
    ) -> Result<PartnerWrite> {
        self.write(move |db| change_subscription(db, &change)).await
    }

    async fn change_webhook_secret(&self, change: SecretChange) -> Result<PartnerWrite> {
        self.write(move |db| change_secret(db, &change)).await
    }
}

/// Hands the links of a client's ended connections with a company to the one that follows, which has the grant ?1.
pub(super) const INHERIT: &str = "UPDATE payment_link SET grant_id = ?1 WHERE grant_id IN
     (SELECT former.id FROM grants AS former JOIN grants AS heir USING (client_id, company_id)
      WHERE heir.id = ?1 AND former.revoked_at IS NOT NULL)";

/// Hands over the answers to what made such things, so that a request sent again makes no second one. What the heir has
/// answered itself stays.
pub(super) const INHERIT_RECEIPTS: &str =
    "UPDATE OR IGNORE partner_receipt SET grant_id = ?1 WHERE inherited AND grant_id IN
     (SELECT former.id FROM grants AS former JOIN grants AS heir USING (client_id, company_id)
      WHERE heir.id = ?1 AND former.revoked_at IS NOT NULL)";

/// The company has approved the client anew: what was made before the connection ended is its own again.
pub(super) fn inherit(db: &Connection, grant_id: &str) -> Result<()> {
    for sql in [INHERIT, INHERIT_RECEIPTS] {
        db.prepare_cached(sql)?.execute([grant_id])?;
    }
    Ok(())
}

fn create_link(db: &Connection, new: &NewLink) -> Result<PartnerWrite> {
    let NewLink { event, link, needs_subscription, receipt, now } = new;
    if let Some(hindrance) = hindrance(db, &link.grant_id, receipt.as_ref(), *now)? {
        return Ok(hindrance);
    }
    let active = "SELECT 1 FROM webhook_subscription WHERE grant_id = ? AND active";
    if *needs_subscription && !db.prepare_cached(active)?.exists([&link.grant_id])? {
        return Ok(PartnerWrite::NoSubscription);
    }
    let sql = "INSERT INTO payment_link (uid, id, grant_id, status, amount, facts, metadata, payload, settlement, session,
               created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        link.uid,
        link.id,
        link.grant_id,
        link.status.as_str(),
        link.amount.as_str(),
        to_json(&link.facts)?,
        link.metadata.as_str(),
        link.payload.as_str(),
        link.settlement.as_ref().map(Json::as_str),
        link.session.as_ref().map(Json::as_str),
        link.created_at.0,
        link.updated_at.0,
        link.version
    ])?;
    outbox::tell(db, EventKind::LinkCreated, link, event, *now)?;
    keep(db, &link.grant_id, receipt.as_ref())
}

fn change_link(db: &Connection, change: &LinkChange) -> Result<PartnerWrite> {
    let LinkChange { event, link, receipt, now } = change;
    if let Some(hindrance) = hindrance(db, &link.grant_id, receipt.as_ref(), *now)? {
        return Ok(hindrance);
    }
    let sql =
        "UPDATE payment_link SET status = ?, facts = ?, metadata = ?, updated_at = ?, version = ?
               WHERE uid = ? AND grant_id = ? AND version = ?";
    let changed = db.prepare_cached(sql)?.execute(params![
        link.status.as_str(),
        to_json(&link.facts)?,
        link.metadata.as_str(),
        link.updated_at.0,
        link.version,
        link.uid,
        link.grant_id,
        link.version - 1
    ])?;
    if changed == 0 {
        return Ok(PartnerWrite::Raced);
    }
    let kind = match link.status {
        LinkStatus::Active => EventKind::LinkUpdated,
        LinkStatus::Archived => EventKind::LinkArchived,
    };
    outbox::tell(db, kind, link, event, *now)?;
    keep(db, &link.grant_id, receipt.as_ref())
}

fn change_subscription(db: &Connection, change: &SubscriptionChange) -> Result<PartnerWrite> {
    let SubscriptionChange { subscription, receipt, now } = change;
    if let Some(hindrance) = hindrance(db, &subscription.grant_id, receipt.as_ref(), *now)? {
        return Ok(hindrance);
    }
    // A new one must not be there yet; a change must find the version it was decided on.
    let sql = if subscription.version == 1 {
        "INSERT INTO webhook_subscription (id, url, events, active, description, metadata, secret, secret_last4, created_at,
         updated_at, version, grant_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (grant_id) DO NOTHING"
    } else {
        "UPDATE webhook_subscription SET url = ?2, events = ?3, active = ?4, description = ?5, metadata = ?6, secret = ?7,
         secret_last4 = ?8, created_at = ?9, updated_at = ?10, version = ?11, failing_since = NULL, disabled_reason = NULL,
         previous_secret = CASE WHEN secret = ?7 THEN previous_secret END,
         previous_until = CASE WHEN secret = ?7 THEN previous_until END
         WHERE id = ?1 AND grant_id = ?12 AND version = ?11 - 1"
    };
    let changed = db.prepare_cached(sql)?.execute(params![
        subscription.id,
        subscription.url,
        to_json(&subscription.events)?,
        subscription.active,
        subscription.description,
        subscription.metadata.as_str(),
        subscription.secret.sealed,
        subscription.secret.last4,
        subscription.created_at.0,
        subscription.updated_at.0,
        subscription.version,
        subscription.grant_id
    ])?;
    if changed == 0 {
        return Ok(PartnerWrite::Raced);
    }
    keep(db, &subscription.grant_id, receipt.as_ref())
}

fn change_secret(db: &Connection, change: &SecretChange) -> Result<PartnerWrite> {
    let SecretChange { grant_id, client_id, company_id, secret, receipt, now } = change;
    if let Some(hindrance) = hindrance(db, grant_id, receipt.as_ref(), *now)? {
        return Ok(hindrance);
    }
    let sql = "INSERT INTO webhook_secret (client_id, company_id, secret, secret_last4, rotated_at) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET secret = excluded.secret, secret_last4 = excluded.secret_last4, rotated_at = excluded.rotated_at,
               previous_secret = NULL, previous_until = NULL";
    let company_id = company_id.as_deref().unwrap_or_default();
    db.prepare_cached(sql)?.execute(params![
        client_id,
        company_id,
        secret.sealed,
        secret.last4,
        now.0
    ])?;
    keep(db, grant_id, receipt.as_ref())
}

/// What stands against a write: the grant has ended, or the `Idempotency-Key` was used meanwhile.
pub(super) fn hindrance(
    db: &Connection,
    grant_id: &str,
    receipt: Option<&KeptReceipt>,
    now: UnixTime,
) -> Result<Option<PartnerWrite>> {
    let stands = "SELECT 1 FROM grants WHERE id = ? AND revoked_at IS NULL";
    if !db.prepare_cached(stands)?.exists([grant_id])? {
        return Ok(Some(PartnerWrite::GrantEnded));
    }
    let Some(KeptReceipt { idempotency, .. }) = receipt else { return Ok(None) };
    let used =
        "SELECT 1 FROM partner_receipt WHERE grant_id = ? AND idempotency = ? AND forgotten_at > ?";
    let used = db.prepare_cached(used)?.exists(params![grant_id, idempotency, now.0])?;
    Ok(used.then_some(PartnerWrite::Raced))
}

/// Keeps a receipt, in place of one that is forgotten.
pub(super) fn keep(
    db: &Connection,
    grant_id: &str,
    receipt: Option<&KeptReceipt>,
) -> Result<PartnerWrite> {
    if let Some(KeptReceipt { idempotency, receipt, inherited }) = receipt {
        let sql = "INSERT OR REPLACE INTO partner_receipt (grant_id, idempotency, request, key, sealed, given_at, forgotten_at, inherited)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        db.prepare_cached(sql)?.execute(params![
            grant_id,
            idempotency,
            receipt.request,
            receipt.key.map(|key| key.0),
            receipt.sealed,
            receipt.given_at.0,
            receipt.forgotten_at.0,
            inherited
        ])?;
    }
    Ok(PartnerWrite::Done)
}

pub(super) fn link(row: &Row<'_>) -> rusqlite::Result<PaymentLink> {
    let json = |text: String| Json::parse(text).map_err(unreadable);
    let status = match row.get_ref(3)?.as_str()? {
        "active" => LinkStatus::Active,
        _ => LinkStatus::Archived,
    };
    let amount = Amount::parse(row.get_ref(4)?.as_str()?);
    Ok(PaymentLink {
        id: row.get(0)?,
        uid: row.get(1)?,
        grant_id: row.get(2)?,
        status,
        amount: amount.ok_or_else(|| unreadable(StoreError::Corrupt("an amount that is none")))?,
        facts: serde_json::from_str(row.get_ref(5)?.as_str()?).map_err(unreadable)?,
        metadata: json(row.get(6)?)?,
        payload: json(row.get(7)?)?,
        settlement: row.get::<_, Option<String>>(8)?.map(json).transpose()?,
        session: row.get::<_, Option<String>>(9)?.map(json).transpose()?,
        created_at: time(row, 10)?,
        updated_at: time(row, 11)?,
        version: row.get(12)?,
    })
}

fn subscription(row: &Row<'_>) -> rusqlite::Result<Subscription> {
    Ok(Subscription {
        id: row.get(0)?,
        grant_id: row.get(1)?,
        url: row.get(2)?,
        events: serde_json::from_str(row.get_ref(3)?.as_str()?).map_err(unreadable)?,
        active: row.get(4)?,
        description: row.get(5)?,
        metadata: Json::parse(row.get(6)?).map_err(unreadable)?,
        secret: SealedSecret { sealed: row.get(7)?, last4: row.get(8)? },
        created_at: time(row, 9)?,
        updated_at: time(row, 10)?,
        version: row.get(11)?,
    })
}

pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt("a value that is no JSON"))
}
