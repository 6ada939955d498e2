-- name: add
INSERT INTO contacts (tenant_id, email, first_name, last_name, phone_number, description, status, tags,
                      vector_embedding, embedding_model, created_at, updated_at)
VALUES (%(tenant)s, %(email)s, %(first_name)s, %(last_name)s, %(phone_number)s, %(description)s, %(status)s, %(tags)s,
        %(vector)s, %(model)s, %(at)s, %(at)s)
-- The address is the identity: who adds it a second time is told so, by no row coming back.
ON CONFLICT (tenant_id, lower(email)) DO NOTHING
RETURNING contact_id;

-- name: update
UPDATE contacts
   SET email = %(email)s, first_name = %(first_name)s, last_name = %(last_name)s, phone_number = %(phone_number)s,
       description = %(description)s, tags = %(tags)s, vector_embedding = %(vector)s, embedding_model = %(model)s,
       updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: erase
DELETE FROM contacts WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: find
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM contacts
 WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: by_email
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM contacts
 WHERE tenant_id = %(tenant)s AND lower(email) = lower(%(email)s);

-- name: by_emails
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM contacts
 WHERE tenant_id = %(tenant)s AND lower(email) = ANY (%(emails)s::text[]);

-- name: by_name
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM contacts
 WHERE tenant_id = %(tenant)s
   AND lower(concat_ws(' ', first_name, last_name)) = lower(%(name)s)
 ORDER BY email
 LIMIT 6;

-- name: like
-- For "did you mean": the nearest names and addresses by shared trigrams.
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM contacts
 WHERE tenant_id = %(tenant)s
   AND greatest(similarity(concat_ws(' ', first_name, last_name), %(name)s::text), similarity(email, %(name)s::text)) > 0.3
 ORDER BY greatest(similarity(concat_ws(' ', first_name, last_name), %(name)s::text),
                   similarity(email, %(name)s::text)) DESC, contact_id
 LIMIT 3;

-- name: page
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM contacts c
 WHERE tenant_id = %(tenant)s
   AND (%(status)s::text IS NULL OR status = %(status)s)
   AND (%(tags)s::text[] IS NULL OR tags @> %(tags)s::text[])
   AND (%(campaign)s::uuid IS NULL OR EXISTS (
            SELECT FROM campaign_contacts m
             WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign)s::uuid AND m.contact_id = c.contact_id))
   -- The cursor is the last row seen, not an offset: a page stays right while rows are added.
   AND (%(after_at)s::timestamptz IS NULL
        OR (created_at, contact_id) < (%(after_at)s::timestamptz, %(after_id)s::uuid))
 ORDER BY created_at DESC, contact_id DESC
 LIMIT %(limit)s;

-- name: count
SELECT count(*)
  FROM contacts c
 WHERE tenant_id = %(tenant)s
   AND (%(status)s::text IS NULL OR status = %(status)s)
   AND (%(tags)s::text[] IS NULL OR tags @> %(tags)s::text[])
   AND (%(campaign)s::uuid IS NULL OR EXISTS (
            SELECT FROM campaign_contacts m
             WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign)s::uuid AND m.contact_id = c.contact_id));

-- name: search
-- Meaning, plus a bonus for matched words that are rare among this tenant's contacts, plus one for an address, phone
-- number or name that is there to the letter (DESIGN section 5: fusing ranks instead made every model worse).
-- Cosines have no absolute scale: "near" is what stands out from this tenant's own notes for this question by some
-- standard deviations, and reaches a share of the best score. Few notes have no deviation to speak of: there the share
-- is larger.
WITH words AS (
    SELECT word, asked::tsquery AS asked,
           1 - ln(1 + (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND search @@ asked::tsquery))
             / ln(2 + (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s)) AS rarity
      FROM unnest(%(words)s::text[], %(lexemes)s::text[]) AS given (word, asked)
),
compared AS (
    SELECT c.*, CASE WHEN c.embedding_model = %(model)s THEN 1 - (c.vector_embedding <=> %(vector)s::halfvec) END
                    AS meaning,
           ARRAY(SELECT word FROM words WHERE c.search @@ words.asked) AS matched,
           coalesce((SELECT sum(rarity) FROM words WHERE c.search @@ words.asked), 0)
               / greatest(1, cardinality(%(words)s::text[])) AS share,
           (lower(c.email) = lower(%(query)s)
            OR lower(concat_ws(' ', c.first_name, c.last_name)) = lower(%(query)s)
            OR c.phone_number = %(phone)s) IS TRUE AS exactly
      FROM contacts c
     WHERE c.tenant_id = %(tenant)s
),
ranked AS (
    -- A contact without a vector (not yet, or of another model) is as near as the words of the question it holds.
    SELECT c.*, coalesce(meaning, 0.4 * cardinality(matched) / greatest(1, cardinality(%(words)s::text[])))
                + %(bonus)s * share + CASE WHEN exactly THEN 1 ELSE 0 END AS score
      FROM compared c
),
scale AS (
    SELECT CASE WHEN count(meaning) >= 30
                THEN greatest(%(floor)s, %(share)s * max(meaning), avg(meaning) + %(deviations)s * stddev_pop(meaning))
                ELSE greatest(%(few_floor)s, %(few_share)s * max(score)) END AS least
      FROM ranked
)
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at,
       matched, score
  FROM ranked c, scale
 WHERE score >= least
   AND (%(status)s::text IS NULL OR c.status = %(status)s)
   AND (%(tags)s::text[] IS NULL OR c.tags @> %(tags)s::text[])
   AND (%(campaign)s::uuid IS NULL OR EXISTS (
            SELECT FROM campaign_contacts m
             WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign)s::uuid AND m.contact_id = c.contact_id))
 ORDER BY score DESC, email
OFFSET %(offset)s LIMIT %(limit)s;

-- name: all_tags
SELECT tag, count(*) FROM contacts, unnest(tags) AS tag WHERE tenant_id = %(tenant)s
 GROUP BY tag ORDER BY count(*) DESC, tag LIMIT 50;

-- name: merge
-- An import's rows, one an address. What the file says wins over what was there; what it leaves empty stays; tags are
-- added; a status only ever gets stricter, so an old list can't subscribe anybody again. Rows that would change nothing
-- are not written.
WITH given AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb)
        AS r (email text, first_name text, last_name text, phone_number text, description text, tags text[], status text)
),
written AS (
    INSERT INTO contacts AS c (tenant_id, email, first_name, last_name, phone_number, description, tags, status,
                               created_at, updated_at)
    SELECT %(tenant)s, email, first_name, last_name, phone_number, description, coalesce(tags, '{}'),
           coalesce(status, 'subscribed'), %(at)s, %(at)s
      FROM given
    ON CONFLICT (tenant_id, lower(email)) DO UPDATE
       SET first_name = coalesce(excluded.first_name, c.first_name),
           last_name = coalesce(excluded.last_name, c.last_name),
           phone_number = coalesce(excluded.phone_number, c.phone_number),
           description = coalesce(excluded.description, c.description),
           tags = c.tags || ARRAY(SELECT t FROM unnest(excluded.tags) t WHERE t <> ALL (c.tags)),
           status = CASE WHEN c.status IN ('subscribed', 'unconfirmed') AND excluded.status <> 'subscribed'
                         THEN excluded.status ELSE c.status END,
           -- The old vector belongs to the old words.
           vector_embedding = NULL, embedding_model = NULL, updated_at = %(at)s
     WHERE (coalesce(excluded.first_name, c.first_name), coalesce(excluded.last_name, c.last_name),
            coalesce(excluded.phone_number, c.phone_number), coalesce(excluded.description, c.description))
               IS DISTINCT FROM (c.first_name, c.last_name, c.phone_number, c.description)
        OR NOT excluded.tags <@ c.tags
        OR (c.status IN ('subscribed', 'unconfirmed') AND excluded.status NOT IN ('subscribed', c.status))
    RETURNING (xmax = 0) AS created
)
SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM written;
