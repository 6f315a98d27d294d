-- What the partner API keeps of companies, whichever integration wrote it. JSON is kept as it was sent; `version` counts
-- changes, so that a racer sees that he lost.

CREATE TABLE customer (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    company_id TEXT NOT NULL REFERENCES company (id),
    facts TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX customer_by_company ON customer (company_id, position);

-- Subscriptions of customers. Every payment date is counted from `anchor`, a date.
CREATE TABLE recurring (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    company_id TEXT NOT NULL REFERENCES company (id),
    customer_id TEXT NOT NULL REFERENCES customer (id),
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    interval TEXT NOT NULL CHECK (interval IN ('day', 'week', 'month', 'year')),
    interval_count INTEGER NOT NULL,
    anchor TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'paused', 'cancelled')),
    description TEXT,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX recurring_by_company ON recurring (company_id, position);
CREATE INDEX recurring_by_customer ON recurring (customer_id);

CREATE TABLE merchant_settings (
    company_id TEXT PRIMARY KEY NOT NULL REFERENCES company (id),
    settings TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

-- What the platform's ledger says, as the operator imported it.
CREATE TABLE wallet (
    company_id TEXT PRIMARY KEY NOT NULL REFERENCES company (id),
    as_of INTEGER NOT NULL,
    balances TEXT NOT NULL
) STRICT;

CREATE TABLE wallet_entry (
    company_id TEXT NOT NULL REFERENCES company (id),
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (company_id, id)
) STRICT;

CREATE INDEX wallet_entry_by_time ON wallet_entry (company_id, at, id);
