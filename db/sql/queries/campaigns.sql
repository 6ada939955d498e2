-- name: add
INSERT INTO campaigns (tenant_id, name, description, start_date, vector_embedding, embedding_model, created_at,
                       updated_at)
VALUES (%(tenant)s, %(name)s, %(description)s, %(start_date)s, %(vector)s, %(model)s, %(at)s, %(at)s)
ON CONFLICT (tenant_id, lower(name)) WHERE status <> 'cancelled' DO NOTHING
RETURNING campaign_id;

-- name: update
UPDATE campaigns
   SET name = %(name)s, description = %(description)s, start_date = %(start_date)s, vector_embedding = %(vector)s,
       embedding_model = %(model)s, updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND campaign_id = %(id)s;

-- name: move
-- The only statement that changes a status; `from` are the states it may come from (db/campaigns.py).
UPDATE campaigns
   SET status = %(to)s, send_at = coalesce(%(send_at)s::timestamptz, send_at), updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND campaign_id = %(id)s AND status = ANY (%(from)s::text[]);

-- name: find
SELECT campaign_id, name, description, start_date, status, send_at, created_at
  FROM campaigns
 WHERE tenant_id = %(tenant)s AND campaign_id = %(id)s;

-- name: find_for_change
-- Locked: two changes of one campaign go one after the other.
SELECT campaign_id, name, description, start_date, status, send_at, created_at
  FROM campaigns
 WHERE tenant_id = %(tenant)s AND campaign_id = %(id)s
   FOR UPDATE;

-- name: by_name
-- A cancelled campaign has given its name free, so it comes last.
SELECT campaign_id, name, description, start_date, status, send_at, created_at
  FROM campaigns
 WHERE tenant_id = %(tenant)s AND lower(name) = lower(%(name)s)
 ORDER BY status = 'cancelled', created_at DESC
 LIMIT 1;

-- name: like
SELECT campaign_id, name, description, start_date, status, send_at, created_at
  FROM campaigns
 WHERE tenant_id = %(tenant)s AND (similarity(name, %(name)s::text) > 0.25 OR name ILIKE '%%' || %(part)s || '%%')
 ORDER BY similarity(name, %(name)s::text) DESC, created_at DESC, campaign_id
 LIMIT 5;

-- name: page
SELECT c.campaign_id, c.name, c.description, c.start_date, c.status, c.send_at, c.created_at,
       (SELECT count(*) FROM campaign_contacts m
         WHERE m.tenant_id = %(tenant)s AND m.campaign_id = c.campaign_id) AS contact_count,
       (SELECT coalesce(sum(a.email_sent_count), 0) FROM campaign_analytics a
         WHERE a.tenant_id = %(tenant)s AND a.campaign_id = c.campaign_id) AS sent_count
  FROM campaigns c
 WHERE c.tenant_id = %(tenant)s
   AND (%(status)s::text IS NULL OR c.status = %(status)s)
   AND (%(after_at)s::timestamptz IS NULL
        OR (c.created_at, c.campaign_id) < (%(after_at)s::timestamptz, %(after_id)s::uuid))
 ORDER BY c.created_at DESC, c.campaign_id DESC
 LIMIT %(limit)s;

-- name: search
-- By meaning, and by words in the name or description: a tenant has tens or hundreds of campaigns, so exactly.
SELECT c.campaign_id, c.name, c.description, c.start_date, c.status, c.send_at, c.created_at,
       (SELECT count(*) FROM campaign_contacts m
         WHERE m.tenant_id = %(tenant)s AND m.campaign_id = c.campaign_id) AS contact_count,
       (SELECT coalesce(sum(a.email_sent_count), 0) FROM campaign_analytics a
         WHERE a.tenant_id = %(tenant)s AND a.campaign_id = c.campaign_id) AS sent_count
  FROM campaigns c,
       LATERAL (SELECT CASE WHEN c.embedding_model = %(model)s
                            THEN 1 - (c.vector_embedding <=> %(vector)s::halfvec) ELSE 0 END
                       + CASE WHEN to_tsvector('simple', c.name || ' ' || coalesce(c.description, ''))
                                   @@ plainto_tsquery('simple', %(query)s) THEN 0.5 ELSE 0 END
                       + similarity(c.name, %(query)s::text) AS score) AS s
 WHERE c.tenant_id = %(tenant)s
   AND (%(status)s::text IS NULL OR c.status = %(status)s)
   AND s.score >= %(floor)s
 ORDER BY s.score DESC, c.campaign_id
OFFSET %(offset)s LIMIT %(limit)s;

-- name: names
-- For the situation that every turn begins with: what a person may be speaking of.
SELECT name, status FROM campaigns WHERE tenant_id = %(tenant)s ORDER BY updated_at DESC, campaign_id LIMIT %(limit)s;

-- name: add_contacts
INSERT INTO campaign_contacts (tenant_id, campaign_id, contact_id, added_at)
SELECT %(tenant)s, %(campaign_id)s, c.contact_id, %(at)s
  FROM contacts c
 WHERE c.tenant_id = %(tenant)s AND c.contact_id = ANY (%(contacts)s::uuid[])
ON CONFLICT DO NOTHING;

-- name: add_all
-- Everybody that a filter lets through: a million never leave the database for it.
INSERT INTO campaign_contacts (tenant_id, campaign_id, contact_id, added_at)
SELECT %(tenant)s, %(campaign_id)s, c.contact_id, %(at)s
  FROM contacts c
 WHERE c.tenant_id = %(tenant)s
   AND (%(status)s::text IS NULL OR c.status = %(status)s)
   AND (%(tags)s::text[] IS NULL OR c.tags @> %(tags)s::text[])
   AND (%(campaign)s::uuid IS NULL OR EXISTS (
            SELECT FROM campaign_contacts m
             WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign)s::uuid AND m.contact_id = c.contact_id))
ON CONFLICT DO NOTHING;

-- name: remove_all
DELETE FROM campaign_contacts m
 USING contacts c
 WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s
   AND c.tenant_id = %(tenant)s AND c.contact_id = m.contact_id
   AND (%(status)s::text IS NULL OR c.status = %(status)s)
   AND (%(tags)s::text[] IS NULL OR c.tags @> %(tags)s::text[]);

-- name: remove_contacts
DELETE FROM campaign_contacts
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id = ANY (%(contacts)s::uuid[]);

-- name: recipients
-- Who would get the campaign and why others would not, as numbers and fingerprints: a million people are one row a
-- reason. In two levels, so that no text of all of them has to fit anywhere. The checks are those that sending repeats
-- for every row.
WITH people AS (
    SELECT c.contact_id, c.email,
           CASE WHEN c.status <> 'subscribed' THEN c.status
                WHEN s.reason IS NOT NULL THEN 'suppressed (' || s.reason || ')' END AS left_out
      FROM campaign_contacts m
      JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id = m.contact_id
      -- OFFSET 0: found by the whole key, also while the planner knows nothing of a table that was just filled.
      LEFT JOIN LATERAL (SELECT reason FROM suppressions
                          WHERE tenant_id = %(tenant)s AND address_hash = suppression_hash(%(tenant)s, c.email)
                         OFFSET 0) s ON true
     WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s
),
buckets AS (
    SELECT left_out, left(contact_id::text, 2) AS bucket, count(*) AS people,
           sha256(convert_to(string_agg(contact_id::text || ' ' || email, E'\n' ORDER BY contact_id), 'UTF8')) AS hash
      FROM people
     GROUP BY 1, 2
)
SELECT left_out, sum(people)::int AS people, encode(sha256(string_agg(hash, ''::bytea ORDER BY bucket)), 'hex') AS hash
  FROM buckets
 GROUP BY left_out
 ORDER BY 2 DESC, 1;

-- name: schedule
-- What an approval has settled; the status is moved by `move`.
UPDATE campaigns
   SET starts_at = %(starts_at)s, content_fingerprint = %(content)s, done_at = NULL, why = NULL
 WHERE tenant_id = %(tenant)s AND campaign_id = %(id)s;

-- name: explain
UPDATE campaigns SET why = %(why)s
 WHERE tenant_id = %(tenant)s AND campaign_id = %(id)s AND why IS DISTINCT FROM %(why)s;

-- name: choose_on_crash
UPDATE campaigns SET on_crash = %(on_crash)s WHERE tenant_id = %(tenant)s AND campaign_id = %(id)s;

-- name: due
-- Approved, and its time has come.
SELECT campaign_id FROM campaigns
 WHERE tenant_id = %(tenant)s AND status = 'scheduled' AND coalesce(starts_at, send_at) <= now()
 ORDER BY send_at;

-- name: under_way
SELECT campaign_id FROM campaigns WHERE tenant_id = %(tenant)s AND status = 'sending' ORDER BY send_at, campaign_id;

-- name: done
UPDATE campaigns SET done_at = now()
 WHERE tenant_id = %(tenant)s AND campaign_id = %(id)s;

-- name: settled
-- Sent long enough ago that hardly anything still comes back.
SELECT campaign_id FROM campaigns
 WHERE tenant_id = %(tenant)s AND status = 'sent' AND done_at < now() - %(after)s::interval;

-- name: sending_facts
SELECT campaign_id, name, status, send_at, starts_at, content_fingerprint, on_crash, why,
       EXISTS (SELECT FROM variant_tests v WHERE v.tenant_id = %(tenant)s AND v.campaign_id = %(id)s)
           AS tests_variants
  FROM campaigns
 WHERE tenant_id = %(tenant)s AND campaign_id = %(id)s;

-- name: counts
-- The two numbers that describe a campaign before its mails' figures do.
SELECT (SELECT count(*) FROM campaign_contacts
         WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s) AS contact_count,
       (SELECT coalesce(sum(email_sent_count), 0) FROM campaign_analytics
         WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s) AS sent_count;
