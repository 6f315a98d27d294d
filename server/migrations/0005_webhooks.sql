-- Notifications: what is to be sent, where, and what became of it.

-- While a secret is changed both sign. An endpoint that fails for days is disabled, and says why.
ALTER TABLE webhook_subscription ADD COLUMN previous_secret BLOB;
ALTER TABLE webhook_subscription ADD COLUMN previous_until INTEGER;
ALTER TABLE webhook_subscription ADD COLUMN failing_since INTEGER;
ALTER TABLE webhook_subscription ADD COLUMN disabled_reason TEXT;
ALTER TABLE webhook_secret ADD COLUMN previous_secret BLOB;
ALTER TABLE webhook_secret ADD COLUMN previous_until INTEGER;

-- Endpoints besides a grant's subscription: those of an application, told of every company that approved it, and the
-- addresses that payment links name for themselves, whose secret is in webhook_secret.
CREATE TABLE webhook_endpoint (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('application', 'link')),
    client_id TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    grant_id TEXT REFERENCES grants (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    active INTEGER NOT NULL,
    description TEXT NOT NULL,
    secret BLOB,
    secret_last4 TEXT,
    previous_secret BLOB,
    previous_until INTEGER,
    failing_since INTEGER,
    disabled_reason TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX webhook_endpoint_by_client ON webhook_endpoint (client_id);
CREATE INDEX webhook_endpoint_by_grant ON webhook_endpoint (grant_id);

-- All of them, alike. `company_id` is whose they are; `stands` whether anything may be sent there.
CREATE VIEW endpoint (
    id, kind, client_id, client_kind, platform, grant_id, company_id, url, events, active, description, secret, secret_last4,
    previous_secret, previous_until, failing_since, disabled_reason, created_at, updated_at, stands
) AS
SELECT it.id, 'subscription', client.id, client.kind, installation.platform, grants.id, grants.company_id, it.url, it.events,
    it.active, it.description, it.secret, it.secret_last4, it.previous_secret, it.previous_until, it.failing_since,
    it.disabled_reason, it.created_at, it.updated_at, grants.revoked_at IS NULL
FROM webhook_subscription it JOIN grants ON grants.id = it.grant_id JOIN client ON client.id = grants.client_id
LEFT JOIN installation ON installation.client_id = client.id
UNION ALL
SELECT it.id, 'application', client.id, client.kind, NULL, NULL, client.company_id, it.url, it.events, it.active,
    it.description, it.secret, it.secret_last4, it.previous_secret, it.previous_until, it.failing_since, it.disabled_reason,
    it.created_at, it.updated_at, 1
FROM webhook_endpoint it JOIN client ON client.id = it.client_id WHERE it.kind = 'application'
UNION ALL
SELECT it.id, 'link', client.id, client.kind, installation.platform, grants.id, grants.company_id, it.url, it.events,
    it.active, it.description, own.secret, own.secret_last4, own.previous_secret, own.previous_until, it.failing_since,
    it.disabled_reason, it.created_at, it.updated_at, grants.revoked_at IS NULL
FROM webhook_endpoint it JOIN grants ON grants.id = it.grant_id JOIN client ON client.id = it.client_id
LEFT JOIN installation ON installation.client_id = client.id
JOIN webhook_secret own ON own.client_id = it.client_id
    AND own.company_id = CASE client.kind WHEN 'native' THEN '' ELSE grants.company_id END
WHERE it.kind = 'link';

-- What is to be sent to one endpoint, in the order in which it happened. Of those that wait for the same endpoint and
-- link, all but the first are due never; whatever ends the first makes the second due. `claimed_until` is a lease: a
-- sender that was killed holds nothing up for longer. The body lacks its deliveryId, which is new in every attempt.
CREATE TABLE webhook_delivery (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    group_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    client_id TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    grant_id TEXT REFERENCES grants (id) ON DELETE CASCADE,
    link_uid TEXT NOT NULL,
    event TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('event', 'manual', 'test')),
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    claimed_until INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    settled_at INTEGER
) STRICT;

CREATE INDEX webhook_delivery_due ON webhook_delivery (due_at) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_order ON webhook_delivery (endpoint_id, link_uid, position) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_by_endpoint ON webhook_delivery (endpoint_id, position);
CREATE INDEX webhook_delivery_by_client ON webhook_delivery (client_id, position);
CREATE INDEX webhook_delivery_by_grant ON webhook_delivery (grant_id, position);
CREATE INDEX webhook_delivery_settled ON webhook_delivery (settled_at) WHERE settled_at IS NOT NULL;

-- What was sent and what was answered, as far as people need it: no signature, no secret.
CREATE TABLE webhook_attempt (
    delivery INTEGER NOT NULL REFERENCES webhook_delivery (position) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    delivery_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    milliseconds INTEGER NOT NULL,
    url TEXT NOT NULL,
    status INTEGER,
    error TEXT,
    headers TEXT NOT NULL,
    excerpt TEXT NOT NULL,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

-- What the people of a company must be told; written with what it tells of, and mailed afterwards.
CREATE TABLE webhook_notice (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    company_id TEXT NOT NULL REFERENCES company (id),
    endpoint_id TEXT NOT NULL,
    url TEXT NOT NULL,
    failing_since INTEGER NOT NULL,
    told_at INTEGER
) STRICT;

-- What the payment engine was answered, by the hash of its Idempotency-Key.
CREATE TABLE engine_receipt (
    idempotency BLOB PRIMARY KEY NOT NULL,
    request BLOB NOT NULL,
    sealed BLOB NOT NULL,
    given_at INTEGER NOT NULL,
    forgotten_at INTEGER NOT NULL
) STRICT;

CREATE INDEX engine_receipt_by_end ON engine_receipt (forgotten_at);

CREATE INDEX webhook_notice_untold ON webhook_notice (id) WHERE told_at IS NULL;
CREATE INDEX webhook_notice_told ON webhook_notice (told_at) WHERE told_at IS NOT NULL;
