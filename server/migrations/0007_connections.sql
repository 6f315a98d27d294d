-- When connections were last used, and whose stores they are.

-- Written in batches, about once a minute: what is newer is in the server's memory.
CREATE TABLE grant_access (
    grant_id TEXT PRIMARY KEY REFERENCES grants (id) ON DELETE CASCADE,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
