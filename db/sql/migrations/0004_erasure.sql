-- An erased contact's events lose whose they are: a new id in each campaign (db/sql/queries/erasure.sql), no key that a
-- shop may have made of an address, and of a link with an address in it only the site.
GRANT UPDATE (contact_id, url, idempotency_key) ON events TO smartcampaign_app;
