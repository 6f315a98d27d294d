//! Columns to values: hashes, keys, times and scopes. A value that does not parse means the database was changed by
//! something else, and is refused.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint, scope::ScopeSet};
use rusqlite::{Row, RowIndex, types::Type};

type Column<T> = rusqlite::Result<T>;

pub(super) fn time<I: RowIndex>(row: &Row<'_>, column: I) -> Column<UnixTime> {
    row.get(column).map(UnixTime)
}

pub(super) fn time_opt<I: RowIndex>(row: &Row<'_>, column: I) -> Column<Option<UnixTime>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(UnixTime))
}

pub(super) fn key_opt<I: RowIndex>(row: &Row<'_>, column: I) -> Column<Option<Thumbprint>> {
    Ok(row.get::<_, Option<[u8; 32]>>(column)?.map(Thumbprint))
}

pub(super) fn scope<I: RowIndex>(row: &Row<'_>, column: I) -> Column<ScopeSet> {
    let text: String = row.get(column)?;
    ScopeSet::parse(&text).map_err(unreadable)
}

/// The error of a column whose text means nothing.
pub(super) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}
