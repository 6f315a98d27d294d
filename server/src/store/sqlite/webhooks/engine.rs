//! What the payment engine was answered, by its `Idempotency-Key`.

use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::columns::time;
use crate::{
    partner::receipt::Receipt,
    store::{KeptReceipt, PartnerWrite, Result},
};

pub(super) fn receipt(db: &Connection, idempotency: &[u8; 32]) -> Result<Option<Receipt>> {
    let sql =
        "SELECT request, sealed, given_at, forgotten_at FROM engine_receipt WHERE idempotency = ?";
    let receipt = |row: &Row<'_>| {
        Ok(Receipt {
            request: row.get(0)?,
            key: None,
            sealed: row.get(1)?,
            given_at: time(row, 2)?,
            forgotten_at: time(row, 3)?,
        })
    };
    Ok(db.prepare_cached(sql)?.query_row([idempotency], receipt).optional()?)
}

/// Whether the `Idempotency-Key` was used meanwhile.
pub(super) fn is_used(
    db: &Connection,
    receipt: Option<&KeptReceipt>,
    now: UnixTime,
) -> Result<bool> {
    let Some(KeptReceipt { idempotency, .. }) = receipt else { return Ok(false) };
    let sql = "SELECT 1 FROM engine_receipt WHERE idempotency = ? AND forgotten_at > ?";
    Ok(db.prepare_cached(sql)?.exists(params![idempotency, now.0])?)
}

/// Keeps a receipt, in place of one that is forgotten.
pub(super) fn keep(db: &Connection, receipt: Option<&KeptReceipt>) -> Result<()> {
    let Some(KeptReceipt { idempotency, receipt, .. }) = receipt else { return Ok(()) };
    let sql = "INSERT OR REPLACE INTO engine_receipt (idempotency, request, sealed, given_at, forgotten_at)
               VALUES (?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        idempotency,
        receipt.request,
        receipt.sealed,
        receipt.given_at.0,
        receipt.forgotten_at.0
    ])?;
    Ok(())
}

pub(super) fn note(db: &Connection, receipt: &KeptReceipt, now: UnixTime) -> Result<PartnerWrite> {
    if is_used(db, Some(receipt), now)? {
        return Ok(PartnerWrite::Raced);
    }
    keep(db, Some(receipt))?;
    Ok(PartnerWrite::Done)
}
