-- Whether the answer goes on with the connection that follows, as what the request made does. Not those of before: which
-- they are is not known any more, and they are forgotten within a month.
ALTER TABLE partner_receipt ADD COLUMN inherited INTEGER NOT NULL DEFAULT 0;
