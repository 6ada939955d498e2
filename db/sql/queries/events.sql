-- name: lock_erasure
-- Alone among those who record (analytics.lock_for_events): what is under way is written before, what comes later finds
-- nobody.
SELECT pg_advisory_xact_lock(7205, hashtext(%(tenant)s::text)) AS tenant_id;

-- name: of_people
-- Everything that is known of some people's answers to a campaign, one row an event, or one without an event. Somebody
-- who was erased, or to whom the campaign was never addressed, is not found. LATERAL with LIMIT and OFFSET: one look into
-- an index for each, also while the planner knows nothing yet of a ledger that was filled a minute ago.
SELECT p.place - 1 AS place, d.state, d.sent_at, e.event_id, e.kind, e.at, e.class, coalesce(e.reason, '') AS reason, e.url,
       e.value, coalesce(e.user_agent, '') AS user_agent, coalesce(e.details ->> 'request', '') AS request
  FROM unnest(%(campaigns)s::uuid[], %(contacts)s::uuid[]) WITH ORDINALITY AS p (campaign_id, contact_id, place)
 CROSS JOIN LATERAL (SELECT state, sent_at
                       FROM deliveries
                      WHERE tenant_id = %(tenant)s AND campaign_id = p.campaign_id AND contact_id = p.contact_id
                      LIMIT 1) AS d
 CROSS JOIN LATERAL (SELECT FROM contacts WHERE tenant_id = %(tenant)s AND contact_id = p.contact_id LIMIT 1) AS k
  LEFT JOIN LATERAL (SELECT event_id, kind, at, class, reason, url, value, user_agent, details
                       FROM events
                      WHERE tenant_id = %(tenant)s AND contact_id = p.contact_id AND campaign_id = p.campaign_id
                     OFFSET 0) AS e ON true;

-- name: states
-- The ledger's word on some mails, held until the transaction ends: whether a bounce counts depends on it.
SELECT d.campaign_id, d.contact_id, d.state
  FROM deliveries d
  JOIN unnest(%(campaigns)s::uuid[], %(contacts)s::uuid[]) AS p (campaign_id, contact_id)
    ON d.campaign_id = p.campaign_id AND d.contact_id = p.contact_id
 WHERE d.tenant_id = %(tenant)s
 ORDER BY d.campaign_id, d.contact_id
   FOR SHARE OF d;

-- name: known_keys
SELECT campaign_id, idempotency_key
  FROM events
 WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[])
   AND idempotency_key = ANY (%(keys)s::text[]);

-- name: add
INSERT INTO events (tenant_id, campaign_id, event_id, contact_id, kind, at, class, reason, classified_at, url, value,
                    user_agent, idempotency_key, details)
SELECT %(tenant)s, e.campaign_id, e.event_id, e.contact_id, e.kind, e.at, e.class, e.reason, now(), e.url, e.value,
       e.user_agent, e.idempotency_key, e.details::jsonb
  FROM unnest(%(campaigns)s::uuid[], %(ids)s::uuid[], %(contacts)s::uuid[], %(kinds)s::text[], %(at)s::timestamptz[],
              %(classes)s::text[], %(reasons)s::text[], %(urls)s::text[], %(amounts)s::numeric[],
              %(user_agents)s::text[], %(keys)s::text[], %(details)s::text[])
       AS e (campaign_id, event_id, contact_id, kind, at, class, reason, url, value, user_agent, idempotency_key, details);

-- name: judge
-- A class and its reason, worked out again.
UPDATE events e SET class = j.class, reason = j.reason, classified_at = now()
  FROM unnest(%(campaigns)s::uuid[], %(ids)s::uuid[], %(classes)s::text[], %(reasons)s::text[])
       AS j (campaign_id, event_id, class, reason)
 WHERE e.tenant_id = %(tenant)s AND e.campaign_id = j.campaign_id AND e.event_id = j.event_id;

-- name: judged_people
-- Who opened or clicked in a campaign since some moment, in the order of their ids: the batches of a reclassification.
SELECT DISTINCT contact_id
  FROM events
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND kind IN ('open', 'click')
   AND contact_id > %(after)s AND at >= coalesce(%(since)s::timestamptz, '-infinity')
 ORDER BY contact_id
 LIMIT %(limit)s;

-- name: judged_campaigns
SELECT c.campaign_id, c.name
  FROM campaigns c
 WHERE c.tenant_id = %(tenant)s
   AND EXISTS (SELECT FROM events e WHERE e.tenant_id = %(tenant)s AND e.campaign_id = c.campaign_id
                  AND e.kind IN ('open', 'click') AND e.at >= coalesce(%(since)s::timestamptz, '-infinity'))
 ORDER BY c.created_at, c.campaign_id;

-- name: addresses
-- The addresses some people are mailed at now, and were mailed at by some campaign.
SELECT k.contact_id, k.email
  FROM contacts k
 WHERE k.tenant_id = %(tenant)s AND k.contact_id = ANY (%(contacts)s::uuid[])
UNION
SELECT d.contact_id, d.address
  FROM deliveries d
 WHERE d.tenant_id = %(tenant)s AND d.contact_id = ANY (%(contacts)s::uuid[])
   AND d.campaign_id = ANY (%(campaigns)s::uuid[]) AND d.address <> '';

-- name: close_contacts
-- A complaint weighs more than leaving, and leaving more than an address that is gone; nobody gets a lighter status.
UPDATE contacts SET status = %(status)s, updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND contact_id = ANY (%(contacts)s::uuid[])
   AND array_position(ARRAY['bounced', 'unsubscribed', 'complained'], status)
       IS DISTINCT FROM greatest(array_position(ARRAY['bounced', 'unsubscribed', 'complained'], status),
                                 array_position(ARRAY['bounced', 'unsubscribed', 'complained'], %(status)s));

-- name: delivered_to
-- The campaigns that a contact was mailed by, latest first: a return path names only the beginning of its id.
SELECT campaign_id
  FROM deliveries
 WHERE tenant_id = %(tenant)s AND contact_id = %(contact_id)s
 ORDER BY sent_at DESC NULLS LAST, campaign_id;

-- name: last_mailed
-- The latest campaign that went to an address: for reports that name nothing else.
SELECT d.campaign_id, d.contact_id
  FROM contacts k
  JOIN deliveries d ON d.tenant_id = %(tenant)s AND d.contact_id = k.contact_id AND d.sent_at IS NOT NULL
 WHERE k.tenant_id = %(tenant)s AND lower(k.email) = lower(%(email)s)
 ORDER BY d.sent_at DESC
 LIMIT 1;

-- name: last_mailed_since
-- The latest campaign that went to a contact, if that was since then.
SELECT d.campaign_id, c.name
  FROM deliveries d
  JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = d.campaign_id
 WHERE d.tenant_id = %(tenant)s AND d.contact_id = %(contact_id)s AND d.sent_at >= %(since)s
 ORDER BY d.sent_at DESC, d.campaign_id
 LIMIT 1;

-- name: of_recipients
-- What each recipient of a campaign did, in the order of their ids; machines are left out.
SELECT d.contact_id, d.state, d.variant, d.sent_at,
       count(e.event_id) FILTER (WHERE e.kind = 'open' AND e.class <> 'machine') AS opens,
       count(e.event_id) FILTER (WHERE e.kind = 'click' AND e.class <> 'machine') AS clicks,
       count(e.event_id) FILTER (WHERE e.kind = 'conversion' AND e.class <> 'machine') AS conversions,
       coalesce(bool_or(e.kind = 'bounce'), false) AS bounced, coalesce(bool_or(e.kind = 'complaint'), false) AS complained,
       coalesce(bool_or(e.kind = 'unsubscribe'), false) AS unsubscribed
  FROM (SELECT contact_id, state, variant, sent_at
          FROM deliveries
         WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id > %(after)s
         ORDER BY contact_id
         LIMIT %(limit)s) AS d
  LEFT JOIN events e ON e.tenant_id = %(tenant)s AND e.contact_id = d.contact_id AND e.campaign_id = %(campaign_id)s
 GROUP BY d.contact_id, d.state, d.variant, d.sent_at
 ORDER BY d.contact_id;

-- name: of_variants
-- A campaign's variants side by side; each person once, machines left out.
SELECT d.variant, count(*) AS sent, count(*) FILTER (WHERE p.opened) AS opened, count(*) FILTER (WHERE p.clicked) AS clicked,
       count(*) FILTER (WHERE p.converted) AS converted, count(*) FILTER (WHERE p.unsubscribed) AS unsubscribed,
       coalesce(sum(p.clicks), 0)::bigint AS clicks
  FROM deliveries d
  LEFT JOIN (SELECT contact_id, bool_or(kind = 'open' AND class <> 'machine') AS opened,
                    bool_or(kind = 'click' AND class <> 'machine') AS clicked,
                    bool_or(kind = 'conversion' AND class <> 'machine') AS converted,
                    bool_or(kind = 'unsubscribe') AS unsubscribed,
                    count(*) FILTER (WHERE kind = 'click' AND class <> 'machine') AS clicks
               FROM events
              WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s
              GROUP BY contact_id) AS p ON p.contact_id = d.contact_id
 WHERE d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s AND d.state = 'sent'
 GROUP BY d.variant
 ORDER BY d.variant;
