-- Sending: what a campaign and a tenant say about it, test mails, budgets, rates, and the capture that takes the mail
-- where no server is set up.

-- What became of a message that was in flight when its sender died: 'park' leaves it for a person ('unknown'), 'resend'
-- sends it again. starts_at is when the first mail may leave (send_at, or earlier where recipients live further east).
-- content_fingerprint is what the approval that scheduled it was given for; why tells why it stopped or waits.
ALTER TABLE campaigns
    ADD COLUMN on_crash text NOT NULL DEFAULT 'park' CHECK (on_crash IN ('park', 'resend')),
    ADD COLUMN starts_at timestamptz,
    ADD COLUMN content_fingerprint text,
    ADD COLUMN done_at timestamptz,
    ADD COLUMN why text;

-- own_addresses: who gets test mails without an approval, beside the sender. The owner says so, nobody else.
-- live_since: since then a program with a mail server sends for this tenant; one without must not take its mail into its
-- outbox and call it sent.
ALTER TABLE tenants
    ADD COLUMN live_since timestamptz,
    ADD COLUMN rate_per_second numeric(8, 3) CHECK (rate_per_second > 0),
    ADD COLUMN own_addresses text[] NOT NULL DEFAULT '{}';

ALTER TABLE deliveries ADD COLUMN first_attempt_at timestamptz;

-- In the order in which they are taken: all rows of a campaign begin with the same time.
DROP INDEX deliveries_ready;
CREATE INDEX deliveries_ready ON deliveries (tenant_id, campaign_id, next_attempt_at, contact_id)
    WHERE state = 'ready';

-- A queue's table: vacuum follows it closely, and a page keeps room for the row's next version.
ALTER TABLE deliveries SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05,
                            autovacuum_vacuum_cost_delay = 0);

-- Test mails: never in the ledger, never counted. The text is the one that was approved.
CREATE TABLE test_mails (
    tenant_id   uuid NOT NULL REFERENCES tenants (id),
    test_id     uuid NOT NULL DEFAULT gen_random_uuid(),
    campaign_id uuid NOT NULL,
    contact_id  uuid,
    address     text NOT NULL,
    subject     text NOT NULL,
    body        text NOT NULL,
    state       text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'sending', 'sent', 'failed', 'unknown')),
    reason      text,
    lease_owner text,
    lease_until timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    sent_at     timestamptz,
    PRIMARY KEY (tenant_id, test_id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, campaign_id) ON DELETE CASCADE
);
CREATE INDEX test_mails_waiting ON test_mails (tenant_id, created_at) WHERE state IN ('ready', 'sending');

-- How many mails began on a day of the tenant's calendar; workers take from it in portions.
CREATE TABLE send_days (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    day       date NOT NULL,
    begun     int NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, day)
);

-- Where mail goes while no server is set up, and what `smartcampaign outbox` shows.
CREATE TABLE captured_mails (
    tenant_id   uuid NOT NULL REFERENCES tenants (id),
    captured_id uuid NOT NULL DEFAULT gen_random_uuid(),
    campaign_id uuid,
    contact_id  uuid,
    sender      text NOT NULL,
    recipient   text NOT NULL,
    subject     text NOT NULL,
    message     bytea NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, captured_id)
);
CREATE INDEX captured_mails_newest ON captured_mails (tenant_id, at DESC, captured_id);
CREATE INDEX captured_mails_contact ON captured_mails (tenant_id, contact_id);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['test_mails', 'send_days', 'captured_mails']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())
                        WITH CHECK (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO smartcampaign_app', name);
    END LOOP;
END $$;
REVOKE DELETE ON send_days FROM smartcampaign_app;

-- Rate limits, shared by all programs: as many slots as mails a second are allowed. A mail takes one before it leaves,
-- and it is free again a second after the server has answered; so the server never sees more of them in any second,
-- however late each side is. A server is shared by tenants, so a slot has none; the program reaches them through the two
-- functions alone.
CREATE TABLE rate_slots (
    name    text NOT NULL,
    slot    int NOT NULL,
    holder  text,
    free_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, slot)
);
ALTER TABLE rate_slots ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION take_slots(limit_name text, size int, many int, owner text, lease interval) RETURNS int[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE taken int[];
BEGIN
    IF NOT EXISTS (SELECT FROM rate_slots s WHERE s.name = limit_name AND s.slot = size) THEN
        INSERT INTO rate_slots (name, slot) SELECT limit_name, n FROM generate_series(1, size) n ON CONFLICT DO NOTHING;
    END IF;
    WITH free AS (
        SELECT s.slot FROM rate_slots s
         WHERE s.name = limit_name AND s.slot <= size AND s.free_at <= clock_timestamp()
         ORDER BY s.free_at LIMIT many
           FOR UPDATE SKIP LOCKED
    ),
    held AS (
        UPDATE rate_slots s SET holder = owner, free_at = clock_timestamp() + lease
          FROM free f WHERE s.name = limit_name AND s.slot = f.slot
        RETURNING s.slot
    )
    SELECT coalesce(array_agg(slot), '{}') INTO taken FROM held;
    RETURN taken;
END $$;

CREATE FUNCTION free_slots(limit_name text, slots int[], owner text, hold interval) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE rate_slots s SET free_at = clock_timestamp() + hold, holder = NULL
     WHERE s.name = limit_name AND s.slot = ANY (slots) AND s.holder = owner
$$;
REVOKE ALL ON FUNCTION take_slots, free_slots FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_slots, free_slots TO smartcampaign_app;
