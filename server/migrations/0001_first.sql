-- The first schema. Times are unix seconds; hashes are SHA-256; lists of scopes are separated by spaces.
--
-- WITHOUT ROWID is for short rows alone. Rows of more than a quarter page (those with a sealed answer in them) spill
-- into overflow pages there, and a refresh would write four pages instead of one.

CREATE TABLE company (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    closed_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE user (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE membership (
    user_id TEXT NOT NULL REFERENCES user (id),
    company_id TEXT NOT NULL REFERENCES company (id),
    role TEXT NOT NULL,
    PRIMARY KEY (user_id, company_id)
) STRICT, WITHOUT ROWID;

-- Browser sessions, by the hash of the cookie.
CREATE TABLE session (
    hash BLOB PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES user (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE client (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('native', 'app')),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    require_nonce INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    -- Of applications alone.
    company_id TEXT REFERENCES company (id),
    secret_hash BLOB,
    redirect_uris TEXT,
    resource_server INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Native installations. `identity` is a hash of platform and registration id, or of platform and address.
CREATE TABLE installation (
    client_id TEXT PRIMARY KEY NOT NULL REFERENCES client (id),
    identity BLOB NOT NULL UNIQUE,
    platform TEXT NOT NULL,
    site_url TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    plugin_version TEXT NOT NULL,
    platform_version TEXT,
    key BLOB,
    staged_key BLOB,
    staged_site_url TEXT,
    staged_redirect_uri TEXT,
    staged_at INTEGER,
    registered_at INTEGER NOT NULL,
    approved_at INTEGER
) STRICT;

-- Squatters are swept.
CREATE INDEX installation_unapproved ON installation (registered_at) WHERE approved_at IS NULL;

CREATE TABLE reset_receipt (
    client_id TEXT NOT NULL REFERENCES installation (client_id) ON DELETE CASCADE,
    idempotency BLOB NOT NULL,
    token_hash BLOB NOT NULL,
    key BLOB NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (client_id, idempotency)
) STRICT;

-- Pushed authorization requests, by the hash of their request_uri. Spent by the decision, not by viewing.
CREATE TABLE pushed_request (
    hash BLOB PRIMARY KEY NOT NULL,
    client_id TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    request TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_at INTEGER
) STRICT;

CREATE INDEX pushed_request_by_client ON pushed_request (client_id);
CREATE INDEX pushed_request_by_expiry ON pushed_request (expires_at);

-- Consent pages that were shown, by the hash of the form's ticket.
CREATE TABLE consent (
    hash BLOB PRIMARY KEY NOT NULL,
    session_hash BLOB NOT NULL,
    user_id TEXT NOT NULL REFERENCES user (id),
    client_id TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    request TEXT NOT NULL,
    pushed BLOB,
    expires_at INTEGER NOT NULL,
    decided_at INTEGER
) STRICT;

CREATE INDEX consent_by_client ON consent (client_id);
CREATE INDEX consent_by_expiry ON consent (expires_at);

CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    company_id TEXT NOT NULL REFERENCES company (id),
    user_id TEXT,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    redeemed_at INTEGER,
    revoked_at INTEGER,
    revoked_reason TEXT
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX grants_standing ON grants (client_id, company_id) WHERE revoked_at IS NULL;
-- The same with those that ended: whatever ends a client's families looks here.
CREATE INDEX grants_by_client ON grants (client_id);
CREATE INDEX grants_by_company ON grants (company_id);

CREATE TABLE code (
    hash BLOB PRIMARY KEY NOT NULL,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scope TEXT NOT NULL,
    resource TEXT NOT NULL,
    key BLOB,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    redeemed_at INTEGER,
    family BLOB,
    receipt BLOB,
    receipt_idempotency BLOB,
    receipt_kid TEXT
) STRICT;

CREATE INDEX code_by_grant ON code (grant_id);
CREATE INDEX code_by_expiry ON code (expires_at);

-- One row a chain of refresh tokens. `successor` is the family that took over when the key was rotated; it has the
-- receipt of that until it is refreshed.
CREATE TABLE family (
    id BLOB PRIMARY KEY NOT NULL,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    resource TEXT NOT NULL,
    key BLOB,
    generation INTEGER NOT NULL,
    token_hash BLOB NOT NULL,
    receipt BLOB,
    receipt_idempotency BLOB,
    receipt_kid TEXT,
    created_at INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    revoked_reason TEXT,
    -- Whether the merchant has approved anew since it was ended by reuse.
    settled INTEGER NOT NULL DEFAULT 0,
    successor BLOB
) STRICT;

CREATE INDEX family_by_grant ON family (grant_id);
-- Native families have no end of their own, so their refreshes leave this index alone.
CREATE INDEX family_by_expiry ON family (expires_at) WHERE expires_at IS NOT NULL;

-- Single access tokens that were revoked before their end.
CREATE TABLE revoked_access (
    jti TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- New families given for a proof of the installation's key.
CREATE TABLE recovery (
    client_id TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    idempotency BLOB NOT NULL,
    family BLOB NOT NULL,
    at INTEGER NOT NULL,
    -- Whether a family had ended by reuse, and the merchant had not approved anew since.
    after_reuse INTEGER NOT NULL,
    receipt BLOB NOT NULL,
    receipt_kid TEXT NOT NULL,
    PRIMARY KEY (client_id, idempotency)
) STRICT;

CREATE INDEX recovery_by_time ON recovery (at);

-- The partner API. JSON is kept as it was sent; `version` counts changes, so that a racer sees that he lost.
CREATE TABLE payment_link (
    position INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    id TEXT NOT NULL UNIQUE,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('active', 'archived')),
    amount TEXT NOT NULL,
    facts TEXT NOT NULL,
    metadata TEXT NOT NULL,
    payload TEXT NOT NULL,
    settlement TEXT,
    session TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX payment_link_by_grant ON payment_link (grant_id, position);

-- One a grant, under one id for as long as the grant lives. The secret is sealed.
CREATE TABLE webhook_subscription (
    grant_id TEXT PRIMARY KEY REFERENCES grants (id) ON DELETE CASCADE,
    id TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    active INTEGER NOT NULL,
    description TEXT NOT NULL,
    metadata TEXT NOT NULL,
    secret BLOB NOT NULL,
    secret_last4 TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What signs the notifications of single payment links: one a native installation, or one an application and company.
CREATE TABLE webhook_secret (
    client_id TEXT NOT NULL REFERENCES client (id) ON DELETE CASCADE,
    company_id TEXT NOT NULL,
    secret BLOB NOT NULL,
    secret_last4 TEXT NOT NULL,
    rotated_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, company_id)
) STRICT, WITHOUT ROWID;

-- Answers for repeated requests, sealed; by the hash of the Idempotency-Key.
CREATE TABLE partner_receipt (
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    idempotency BLOB NOT NULL,
    request BLOB NOT NULL,
    key BLOB,
    sealed BLOB NOT NULL,
    given_at INTEGER NOT NULL,
    forgotten_at INTEGER NOT NULL,
    PRIMARY KEY (grant_id, idempotency)
) STRICT;

CREATE INDEX partner_receipt_by_end ON partner_receipt (forgotten_at);

-- What happened to connections, for people who ask. Written with what it tells of, and outlives it.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    client_id TEXT NOT NULL,
    company_id TEXT,
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_client ON audit (client_id, id);
