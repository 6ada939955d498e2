-- Variants of a mail (docs/decisions/0018-variants.md): how a campaign tries them, and what came of it; and a way back
-- for whoever unsubscribed (docs/decisions/0019-leaving-by-hand.md).

-- The rule is part of what a person approves. `share` is the part of the recipients, in percent, who get the variants;
-- the others wait (next_attempt_at is the year 9999) for the one that is clearly better after `wait_hours`. `unclear` is
-- what happens when none is: a person is asked, or the first one goes out.
CREATE TABLE variant_tests (
    tenant_id   uuid NOT NULL REFERENCES tenants (id),
    campaign_id uuid NOT NULL,
    share       int NOT NULL CHECK (share BETWEEN 1 AND 100),
    wait_hours  int NOT NULL CHECK (wait_hours BETWEEN 1 AND 168),
    outcome     text NOT NULL CHECK (outcome IN ('click', 'conversion')),
    unclear     text NOT NULL CHECK (unclear IN ('ask', 'first')),
    -- When the test is over: the wait counts from the moment when everybody in it had their turn.
    decide_at   timestamptz,
    -- The figures have decided nothing, and a person is waited for.
    asked_at    timestamptz,
    decided_at  timestamptz,
    decided_by  text,
    winner      text CHECK (winner ~ '^[a-z]$'),
    evidence    jsonb,
    PRIMARY KEY (tenant_id, campaign_id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, campaign_id) ON DELETE CASCADE,
    CHECK ((decided_at IS NULL) = (winner IS NULL))
);
ALTER TABLE variant_tests ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON variant_tests USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON variant_tests TO smartcampaign_app;

-- Whether this mail is one of the test: the figures that decide are theirs alone.
ALTER TABLE deliveries ADD COLUMN tested boolean NOT NULL DEFAULT false;

-- Taking back an unsubscription. The program can't delete suppressions, and still can't: it may lift one, of its own
-- tenant, that stands for a person's wish (or an erasure), and no other. Complaints and addresses that are nobody's stay.
CREATE FUNCTION lift_suppression(tenant uuid, email text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH lifted AS (
        DELETE FROM suppressions
         WHERE tenant_id = tenant AND tenant_id = current_tenant() AND address_hash = suppression_hash(tenant, email)
           AND reason IN ('unsubscribed', 'manual', 'erased')
        RETURNING 1
    )
    SELECT EXISTS (SELECT FROM lifted)
$$;
REVOKE ALL ON FUNCTION lift_suppression FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lift_suppression TO smartcampaign_app;
