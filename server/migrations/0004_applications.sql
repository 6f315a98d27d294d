-- Applications that companies register: what merchants are shown of them, and the secret before the one in force.
--
-- An application that was deleted keeps its row, for the history of what it was connected to.

ALTER TABLE client ADD COLUMN former_secret_hash BLOB;
ALTER TABLE client ADD COLUMN former_secret_ends_at INTEGER;
-- An e-mail address or an https link.
ALTER TABLE client ADD COLUMN support TEXT;
ALTER TABLE client ADD COLUMN privacy_url TEXT;
ALTER TABLE client ADD COLUMN terms_url TEXT;
-- The name of a picture in `icon`.
ALTER TABLE client ADD COLUMN icon TEXT;
-- Counts changes, so that whoever changes an older state sees that he lost.
ALTER TABLE client ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE client ADD COLUMN deleted_at INTEGER;

CREATE INDEX client_by_company ON client (company_id) WHERE company_id IS NOT NULL;
CREATE INDEX client_by_icon ON client (icon) WHERE icon IS NOT NULL;

-- Pictures, drawn anew by us, by their hash. One that no application shows any more is gone.
CREATE TABLE icon (
    hash TEXT PRIMARY KEY NOT NULL,
    png BLOB NOT NULL
) STRICT;
