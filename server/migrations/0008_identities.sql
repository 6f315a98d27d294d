-- People who sign in through an external OpenID provider.

-- Whom a provider means by a subject. By (issuer, subject) and by nothing else: addresses change hands.
CREATE TABLE identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    -- The address that the provider gave then, for people to recognise.
    email TEXT NOT NULL,
    linked_at INTEGER NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (issuer, subject),
    UNIQUE (user_id, issuer)
) STRICT, WITHOUT ROWID;

-- Browsers that were sent to a provider and have not come back, by the hash of the `state` they carry. Neither the nonce
-- nor the PKCE verifier is here: both are made from the state.
CREATE TABLE provider_attempt (
    state BLOB PRIMARY KEY NOT NULL,
    visit BLOB NOT NULL,
    provider TEXT NOT NULL,
    purpose TEXT NOT NULL,
    -- The session that asked, unless it is a sign-in.
    session BLOB,
    destination TEXT,
    started_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX provider_attempt_by_expiry ON provider_attempt (expires_at);

-- The provider's name, for a session that began there; when its person last proved there who they are.
ALTER TABLE session ADD COLUMN provider TEXT;
ALTER TABLE session ADD COLUMN confirmed_at INTEGER;
