-- Who did it, and a chain of hashes over the history.
--
-- `hash` is over the record and `previous`, the hash of the record before (src/audit.rs); ids have no gaps. The
-- records of before are chained by the program, in order, which then drops `audit_before`.

DROP INDEX audit_by_client;
ALTER TABLE audit RENAME TO audit_before;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    -- `user:ID`, `client:ID`, `operator:NAME` or `system`.
    actor TEXT NOT NULL,
    client_id TEXT,
    company_id TEXT,
    -- What else it was done to: a person, a key, an endpoint.
    subject TEXT,
    detail TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

-- Ended families are forgotten in time. Those that stand are not in it, so refreshes leave it alone.
CREATE INDEX family_by_end ON family (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE INDEX audit_by_client ON audit (client_id, id) WHERE client_id IS NOT NULL;
CREATE INDEX audit_by_company ON audit (company_id, id) WHERE company_id IS NOT NULL;
