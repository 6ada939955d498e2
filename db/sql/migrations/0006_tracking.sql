-- Tracking and counting: the keys of signed links, which hosts of a tenant report conversions, what the roll-up must know
-- so that a summary reads no event, and the counts of links.

-- A tenant's keys are its own rows: they move with it to another server, and come back with a backup, so that the links
-- in mails that were sent stay good. `secret_id` says which SMARTCAMPAIGN_SECRET is mixed in (empty: none). Keys are
-- added and never changed: an old mail's unsubscribe link has no end.
CREATE TABLE link_keys (
    tenant_id  uuid NOT NULL REFERENCES tenants (id),
    version    int NOT NULL CHECK (version BETWEEN 1 AND 255),
    key        bytea NOT NULL CHECK (length(key) = 32),
    secret_id  bytea NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, version)
);

-- Clicks to these hosts carry the parameter `sc`, by which a shop reports what was bought. Others see no token of ours.
ALTER TABLE tenants ADD COLUMN conversion_hosts text[] NOT NULL DEFAULT '{}';

-- With these a campaign's totals are sums of its hours. Who opened and clicked counts in the hour when both were true.
ALTER TABLE campaign_analytics
    ADD COLUMN opened_and_clicked_count int NOT NULL DEFAULT 0,
    ADD COLUMN total_conversion_count   int NOT NULL DEFAULT 0,
    ADD COLUMN conversion_value         numeric(14, 2) NOT NULL DEFAULT 0,
    ADD COLUMN first_sent_at            timestamptz,
    ADD COLUMN last_sent_at             timestamptz;

-- One row a campaign and link: who clicked it, how often. By the hash of the address, which may be long.
CREATE TABLE campaign_links (
    tenant_id     uuid NOT NULL REFERENCES tenants (id),
    campaign_id   uuid NOT NULL,
    url_hash      bytea NOT NULL,
    url           text NOT NULL,
    person_count  int NOT NULL DEFAULT 0,
    click_count   int NOT NULL DEFAULT 0,
    machine_count int NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, campaign_id, url_hash),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, campaign_id) ON DELETE CASCADE
);

-- What a summary still asks the ledger: mails that did not go out are few.
CREATE INDEX deliveries_stopped ON deliveries (tenant_id, campaign_id, state)
    WHERE state IN ('failed', 'skipped', 'unknown');

-- Its campaign is of this tenant, and that one's tenant is there: a second look for every event proves nothing more.
ALTER TABLE events DROP CONSTRAINT events_tenant_id_fkey;

-- One person's events in one campaign are read whenever that person does something more.
DROP INDEX events_contact;
CREATE INDEX events_contact ON events (tenant_id, contact_id, campaign_id);

-- How many contacts there are of each status: counted in the index alone.
CREATE INDEX contacts_status ON contacts (tenant_id, status);

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['link_keys', 'campaign_links']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())
                        WITH CHECK (tenant_id = current_tenant())', name);
    END LOOP;
END $$;
GRANT SELECT, INSERT ON link_keys TO smartcampaign_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON campaign_links TO smartcampaign_app;

-- What was sent before: every hour and link counted anew, as the queries recount and recount_links of this version do.
DO $$
DECLARE tenant uuid;
BEGIN
    FOR tenant IN SELECT id FROM tenants
    LOOP
        PERFORM set_config('app.tenant_id', tenant::text, true);
        DELETE FROM campaign_analytics WHERE tenant_id = tenant;
        WITH people AS (
            SELECT campaign_id, contact_id,
                   min(at) FILTER (WHERE kind = 'open' AND class <> 'machine') AS opened_at,
                   min(at) FILTER (WHERE kind = 'click' AND class <> 'machine') AS clicked_at,
                   min(at) FILTER (WHERE kind = 'conversion' AND class <> 'machine') AS converted_at,
                   min(at) FILTER (WHERE kind = 'bounce') AS bounced_at,
                   min(at) FILTER (WHERE kind = 'complaint') AS complained_at,
                   min(at) FILTER (WHERE kind = 'unsubscribe') AS unsubscribed_at
              FROM events
             WHERE tenant_id = tenant AND contact_id IS NOT NULL
             GROUP BY campaign_id, contact_id
        ),
        happened (campaign_id, at, what, value) AS (
            SELECT campaign_id, coalesce(sent_at, updated_at), 'sent', NULL::numeric
              FROM deliveries
             WHERE tenant_id = tenant AND state = 'sent'
            UNION ALL
            SELECT p.campaign_id, m.at, m.what, NULL
              FROM people p,
                   LATERAL (VALUES (p.opened_at, 'opened'), (p.clicked_at, 'clicked'), (p.converted_at, 'converted'),
                                   (p.complained_at, 'complained'), (p.unsubscribed_at, 'unsubscribed'),
                                   (CASE WHEN p.opened_at > p.clicked_at THEN p.opened_at
                                         WHEN p.opened_at IS NOT NULL THEN p.clicked_at END, 'both')) AS m (at, what)
             WHERE m.at IS NOT NULL
            UNION ALL
            SELECT p.campaign_id, p.bounced_at, 'bounced', NULL
              FROM people p
              JOIN deliveries d ON d.tenant_id = tenant AND d.campaign_id = p.campaign_id
                               AND d.contact_id = p.contact_id AND d.state = 'sent'
             WHERE p.bounced_at IS NOT NULL AND p.opened_at IS NULL AND p.clicked_at IS NULL
            UNION ALL
            SELECT campaign_id, at,
                   CASE WHEN kind = 'conversion' THEN 'conversion' WHEN class <> 'machine' THEN 'click'
                        WHEN kind = 'open' THEN 'machine open' ELSE 'machine click' END, value
              FROM events
             WHERE tenant_id = tenant
               AND (kind = 'click' OR (kind = 'open' AND class = 'machine')
                    OR (kind = 'conversion' AND class <> 'machine'))
        )
        INSERT INTO campaign_analytics
               (tenant_id, campaign_id, hour, email_sent_count, email_opened_count, link_clicked_count,
                total_click_count, conversions, machine_open_count, machine_click_count, bounce_count, complaint_count,
                unsubscribe_count, opened_and_clicked_count, total_conversion_count, conversion_value, first_sent_at,
                last_sent_at)
        SELECT tenant, campaign_id, date_trunc('hour', at, 'UTC'),
               count(*) FILTER (WHERE what = 'sent'), count(*) FILTER (WHERE what = 'opened'),
               count(*) FILTER (WHERE what = 'clicked'), count(*) FILTER (WHERE what = 'click'),
               count(*) FILTER (WHERE what = 'converted'), count(*) FILTER (WHERE what = 'machine open'),
               count(*) FILTER (WHERE what = 'machine click'), count(*) FILTER (WHERE what = 'bounced'),
               count(*) FILTER (WHERE what = 'complained'), count(*) FILTER (WHERE what = 'unsubscribed'),
               count(*) FILTER (WHERE what = 'both'), count(*) FILTER (WHERE what = 'conversion'),
               coalesce(sum(value) FILTER (WHERE what = 'conversion'), 0),
               min(at) FILTER (WHERE what = 'sent'), max(at) FILTER (WHERE what = 'sent')
          FROM happened
         GROUP BY 2, 3;
        INSERT INTO campaign_links (tenant_id, campaign_id, url_hash, url, person_count, click_count, machine_count)
        SELECT tenant, campaign_id, sha256(convert_to(url, 'UTF8')), url,
               count(DISTINCT contact_id) FILTER (WHERE class <> 'machine'),
               count(*) FILTER (WHERE class <> 'machine'), count(*) FILTER (WHERE class = 'machine')
          FROM events
         WHERE tenant_id = tenant AND kind = 'click' AND url IS NOT NULL
         GROUP BY campaign_id, url;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
END $$;
