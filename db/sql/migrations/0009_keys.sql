-- API keys as they are used, and answers that are given once.
--
-- A key's text begins with its tenant (tools/keys.py), so it is looked up inside that tenant like every other row: no
-- function that sees across tenants is needed. docs/decisions/0020-api-keys.md

ALTER TABLE api_keys
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD CHECK (octet_length(key_hash) = 32),
    ADD CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 100);

-- A name is who did something, in the log and on approvals: two living keys must not share one.
CREATE UNIQUE INDEX api_keys_name ON api_keys (tenant_id, lower(name)) WHERE revoked_at IS NULL;

-- A key is ended, never deleted or made into another one: the log names it.
REVOKE UPDATE, DELETE ON api_keys FROM smartcampaign_app;
GRANT UPDATE (revoked_at, last_used_at) ON api_keys TO smartcampaign_app;

-- What was answered to a request that carried an Idempotency-Key, so that asking again does nothing again.
-- `acted` is set in the transaction of the write itself: after a crash between the write and its answer it tells which
-- of the two happened.
CREATE TABLE idempotency_keys (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    caller          text NOT NULL,
    -- Of the header's text, which is the caller's and may name somebody.
    key_hash        bytea NOT NULL CHECK (octet_length(key_hash) = 32),
    request_hash    bytea NOT NULL,
    owner           uuid,
    running_until   timestamptz,
    acted           boolean NOT NULL DEFAULT false,
    status          int,
    answer          bytea,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, caller, key_hash)
);
CREATE INDEX idempotency_keys_over ON idempotency_keys (tenant_id, expires_at);

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON idempotency_keys USING (tenant_id = current_tenant())
    WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO smartcampaign_app;
