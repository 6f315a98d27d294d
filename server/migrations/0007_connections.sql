-- When connections were last used, and whose stores they are.

-- Written in batches, about once a minute: what is newer is in the server's memory.
CREATE TABLE grant_access (
    grant_id TEXT PRIMARY KEY REFERENCES grants (id) ON DELETE CASCADE,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether a store's own address answered with the installation's key: the newest verdict alone, and what it is about.
CREATE TABLE ownership (
    client_id TEXT PRIMARY KEY REFERENCES client (id) ON DELETE CASCADE,
    site_url TEXT NOT NULL,
    key BLOB NOT NULL,
    verdict TEXT NOT NULL,
    checked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
