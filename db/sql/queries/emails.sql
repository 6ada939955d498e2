-- name: templates
SELECT email_id, campaign_id, contact_id, variant, subject, body, written_by, unknown_claims, sent_date
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id IS NULL
 ORDER BY variant;

-- name: draft_for
SELECT email_id, campaign_id, contact_id, variant, subject, body, written_by, unknown_claims, sent_date
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id = %(contact_id)s
 ORDER BY variant
 LIMIT 1;

-- name: all_of
-- Every mail of the campaign, in a stable order: what an approval's fingerprint covers.
SELECT email_id, campaign_id, contact_id, variant, subject, body, written_by, unknown_claims, sent_date
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s
 ORDER BY contact_id NULLS FIRST, variant;

-- name: content
-- Every mail of the campaign as one fingerprint, and what an approval's card says of them.
SELECT count(*) FILTER (WHERE contact_id IS NULL) AS templates,
       count(*) FILTER (WHERE contact_id IS NOT NULL) AS personal,
       encode(sha256(coalesce(string_agg(
           sha256(convert_to(jsonb_build_array(email_id, contact_id, variant, subject, body)::text, 'UTF8')),
           ''::bytea ORDER BY email_id), ''::bytea)), 'hex') AS hash,
       (SELECT coalesce(array_agg(DISTINCT claim ORDER BY claim), '{}')
          FROM campaign_emails e, unnest(e.unknown_claims) AS claim
         WHERE e.tenant_id = %(tenant)s AND e.campaign_id = %(campaign_id)s) AS unknown_claims
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s;

-- name: remove
DELETE FROM campaign_emails WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND email_id = %(id)s;

-- name: of_ids
SELECT email_id, campaign_id, contact_id, variant, subject, body, written_by, unknown_claims, sent_date
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND email_id = ANY (%(ids)s::uuid[]);

-- name: mark_sent
UPDATE campaign_emails SET sent_date = %(at)s
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND sent_date IS NULL;

-- name: count_drafts
SELECT count(*) FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id IS NOT NULL;

-- name: save_template
INSERT INTO campaign_emails (tenant_id, campaign_id, variant, subject, body, written_by, unknown_claims,
                             vector_embedding, embedding_model, created_at, updated_at)
VALUES (%(tenant)s, %(campaign_id)s, %(variant)s, %(subject)s, %(body)s, %(written_by)s, %(unknown_claims)s,
        %(vector)s, %(model)s, %(at)s, %(at)s)
ON CONFLICT (tenant_id, campaign_id, variant) WHERE contact_id IS NULL
DO UPDATE SET subject = excluded.subject, body = excluded.body, written_by = excluded.written_by,
              unknown_claims = excluded.unknown_claims, vector_embedding = excluded.vector_embedding,
              embedding_model = excluded.embedding_model, updated_at = excluded.updated_at
RETURNING email_id;

-- name: save_draft
INSERT INTO campaign_emails (tenant_id, campaign_id, contact_id, variant, subject, body, written_by, unknown_claims,
                             vector_embedding, embedding_model, created_at, updated_at)
VALUES (%(tenant)s, %(campaign_id)s, %(contact_id)s, %(variant)s, %(subject)s, %(body)s, %(written_by)s,
        %(unknown_claims)s, %(vector)s, %(model)s, %(at)s, %(at)s)
ON CONFLICT (tenant_id, campaign_id, contact_id, variant) WHERE contact_id IS NOT NULL
DO UPDATE SET subject = excluded.subject, body = excluded.body, written_by = excluded.written_by,
              unknown_claims = excluded.unknown_claims, vector_embedding = excluded.vector_embedding,
              embedding_model = excluded.embedding_model, updated_at = excluded.updated_at
RETURNING email_id;

-- name: count_templates
SELECT count(*) FROM campaign_emails WHERE tenant_id = %(tenant)s AND contact_id IS NULL;

-- name: reader
-- Through whose eyes a preview looks. People who would get the mail come first, the others make a preview possible.
SELECT c.contact_id, c.email, c.first_name, c.last_name, c.phone_number, c.description, c.status, c.tags, c.time_zone,
       c.created_at
  FROM campaign_contacts m
  JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id = m.contact_id
 WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s
   AND (%(contact_id)s::uuid IS NULL OR m.contact_id = %(contact_id)s::uuid)
 ORDER BY c.status <> 'subscribed', c.contact_id
 LIMIT 1;

-- name: readers
-- Nobody writes a mail to a person who would not get it: the same people are left out as in campaigns.recipients.
SELECT c.contact_id, c.email, c.first_name, c.last_name, c.phone_number, c.description, c.status, c.tags, c.time_zone,
       c.created_at
  FROM campaign_contacts m
  JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id = m.contact_id
 WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s AND c.status = 'subscribed'
   AND NOT EXISTS (SELECT FROM suppressions s
                    WHERE s.tenant_id = %(tenant)s AND s.address_hash = suppression_hash(%(tenant)s, c.email))
 ORDER BY c.contact_id
 LIMIT %(limit)s;

-- name: stand_ins
-- One recipient for each set of things that are known of people, and how many they stand for: a template's tags leave
-- the same holes for all of them. So a mail to a million is checked by looking at eight. Those with a draft of their own
-- read that instead. `OFFSET 0`: each row is found by its whole key, also where a list was imported a moment ago and has no
-- statistics yet (deliveries.sql); a join of all with all took minutes for 50,000.
WITH people AS (
    SELECT c.contact_id, coalesce(btrim(c.first_name), '') = '' AS no_first, coalesce(btrim(c.last_name), '') = '' AS no_last,
           coalesce(btrim(c.phone_number), '') = '' AS no_phone
      FROM campaign_contacts m
      JOIN LATERAL (SELECT contact_id, email, first_name, last_name, phone_number, status
                      FROM contacts WHERE tenant_id = %(tenant)s AND contact_id = m.contact_id
                    OFFSET 0) c ON true
     WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s AND c.status = 'subscribed'
       AND NOT EXISTS (SELECT FROM suppressions s
                        WHERE s.tenant_id = %(tenant)s AND s.address_hash = suppression_hash(%(tenant)s, c.email)
                      OFFSET 0)
       AND NOT EXISTS (SELECT FROM campaign_emails e
                        WHERE e.tenant_id = %(tenant)s AND e.campaign_id = %(campaign_id)s
                          AND e.contact_id = c.contact_id
                      OFFSET 0)
),
groups AS (
    SELECT min(contact_id::text)::uuid AS contact_id, count(*)::int AS people
      FROM people
     GROUP BY no_first, no_last, no_phone
)
SELECT c.contact_id, c.email, c.first_name, c.last_name, c.phone_number, c.description, c.status, c.tags, c.time_zone,
       c.created_at, g.people
  FROM groups g
  JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id = g.contact_id
 ORDER BY g.people DESC, c.contact_id;

-- name: search
-- As contacts are searched: meaning, plus a bonus for matched words that are rare among this tenant's mails. A tenant
-- has tens or hundreds of templates, so exactly and without an index.
WITH mails AS MATERIALIZED (
    SELECT e.email_id, e.campaign_id, c.name AS campaign, e.variant, e.subject, e.body, e.sent_date,
           CASE WHEN e.embedding_model = %(model)s THEN 1 - (e.vector_embedding <=> %(vector)s::halfvec) ELSE 0 END
               AS meaning,
           to_tsvector('simple', c.name || ' ' || e.subject || ' ' || e.body) AS search
      FROM campaign_emails e
      JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = e.campaign_id
     WHERE e.tenant_id = %(tenant)s AND e.contact_id IS NULL
),
words AS (
    SELECT word, plainto_tsquery('simple', word) AS asked,
           1 - ln(1 + (SELECT count(*) FROM mails WHERE search @@ plainto_tsquery('simple', word)))
             / ln(2 + (SELECT count(*) FROM mails)) AS rarity
      FROM unnest(%(words)s::text[]) AS word
),
scored AS (
    SELECT m.*, ARRAY(SELECT word FROM words WHERE m.search @@ words.asked) AS matched,
           m.meaning + %(bonus)s * coalesce((SELECT sum(rarity) FROM words WHERE m.search @@ words.asked), 0)
               / greatest(1, (SELECT count(*) FROM words)) AS score
      FROM mails m
)
SELECT email_id, campaign_id, campaign, variant, subject, body, sent_date, matched, score
  FROM scored
 WHERE score >= %(floor)s
 ORDER BY score DESC, campaign_id, variant
 LIMIT %(limit)s;
