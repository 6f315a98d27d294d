-- What people sign in with, and how they come into a company.

-- Members could approve connections, and nothing else could be done yet.
UPDATE membership SET role = 'admin' WHERE role = 'member';

CREATE INDEX membership_by_company ON membership (company_id);

-- Whether only people with a second factor may approve.
ALTER TABLE company ADD COLUMN approval_needs_code INTEGER NOT NULL DEFAULT 0;

-- A session that still waits for the second factor is half; `proved_at` is when the factor was last given.
ALTER TABLE session ADD COLUMN half INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN proved_at INTEGER;
ALTER TABLE session ADD COLUMN browser TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN address TEXT NOT NULL DEFAULT '';

CREATE INDEX session_by_user ON session (user_id);
CREATE INDEX session_by_expiry ON session (expires_at);

-- What names a session at the developers' host: a hash of the code on its way there, with the browser that it is for;
-- once that browser has brought the code, a hash of its cookie.
CREATE TABLE portal_key (
    hash BLOB PRIMARY KEY,
    session_hash BLOB NOT NULL REFERENCES session (hash) ON DELETE CASCADE,
    browser BLOB,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX portal_key_by_session ON portal_key (session_hash);
CREATE INDEX portal_key_by_expiry ON portal_key (expires_at) WHERE browser IS NOT NULL;

-- Links to a new password, by the hash of their token: one a person, the newest.
CREATE TABLE password_reset (
    user_id TEXT PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX password_reset_by_expiry ON password_reset (expires_at);

-- One-time codes (RFC 6238). The secret is sealed; a step is used once, and none before it any more.
CREATE TABLE second_factor (
    user_id TEXT PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    secret BLOB NOT NULL,
    last_step INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    locked_until INTEGER NOT NULL DEFAULT 0,
    -- Null until the first code was right.
    confirmed_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_code (
    user_id TEXT NOT NULL REFERENCES second_factor (user_id) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    PRIMARY KEY (user_id, hash)
) STRICT, WITHOUT ROWID;

-- Invitations that wait, by the hash of their link's token. Taken up or withdrawn ones are gone from here.
CREATE TABLE invitation (
    id TEXT PRIMARY KEY NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    company_id TEXT NOT NULL REFERENCES company (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (company_id, email)
) STRICT, WITHOUT ROWID;

CREATE INDEX invitation_by_expiry ON invitation (expires_at);
