-- Receipts of the partner API and of resets.

-- Whether the answer goes on with the connection that follows, as what the request made does. Not those of before: which
-- they are is not known any more, and they are forgotten within a month.
ALTER TABLE partner_receipt ADD COLUMN inherited INTEGER NOT NULL DEFAULT 0;

-- Which reset was the newest is part of what is kept, and several may be of one second. VACUUM may renumber the rows of a
-- table that has no number of its own.
CREATE TABLE reset_receipt_numbered (
    number INTEGER PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES installation (client_id) ON DELETE CASCADE,
    idempotency BLOB NOT NULL,
    token_hash BLOB NOT NULL,
    key BLOB NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (client_id, idempotency)
) STRICT;

INSERT INTO reset_receipt_numbered (client_id, idempotency, token_hash, key, body)
SELECT client_id, idempotency, token_hash, key, body FROM reset_receipt ORDER BY rowid;

DROP TABLE reset_receipt;
ALTER TABLE reset_receipt_numbered RENAME TO reset_receipt;
