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
 ORDER BY created_at, contact_id
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
WITH words AS (
    SELECT word, plainto_tsquery('simple', word) AS asked,
           1 - ln(1 + (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s
                          AND search @@ plainto_tsquery('simple', word)))
             / ln(2 + (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s)) AS rarity
      FROM unnest(%(words)s::text[]) AS word
),
scored AS (
    SELECT c.contact_id, c.email, c.first_name, c.last_name, c.phone_number, c.description, c.status, c.tags,
           c.time_zone, c.created_at,
           CASE WHEN c.embedding_model = %(model)s THEN 1 - (c.vector_embedding <=> %(vector)s::halfvec) ELSE 0 END
               AS meaning,
           ARRAY(SELECT word FROM words WHERE c.search @@ words.asked) AS matched,
           coalesce((SELECT sum(rarity) FROM words WHERE c.search @@ words.asked), 0)
               / greatest(1, (SELECT count(*) FROM words)) AS share,
           (lower(c.email) = lower(%(query)s)
            OR lower(concat_ws(' ', c.first_name, c.last_name)) = lower(%(query)s)
            OR c.phone_number = %(phone)s) IS TRUE AS exactly
      FROM contacts c
     WHERE c.tenant_id = %(tenant)s
       AND (%(status)s::text IS NULL OR c.status = %(status)s)
       AND (%(tags)s::text[] IS NULL OR c.tags @> %(tags)s::text[])
       AND (%(campaign)s::uuid IS NULL OR EXISTS (
                SELECT FROM campaign_contacts m
                 WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign)s::uuid AND m.contact_id = c.contact_id))
)
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at,
       matched, meaning + %(bonus)s * share + CASE WHEN exactly THEN 1 ELSE 0 END AS score
  FROM scored
 WHERE meaning + %(bonus)s * share + CASE WHEN exactly THEN 1 ELSE 0 END >= %(floor)s
 ORDER BY score DESC, contact_id
OFFSET %(offset)s LIMIT %(limit)s;

-- name: all_tags
SELECT tag, count(*) FROM contacts, unnest(tags) AS tag WHERE tenant_id = %(tenant)s
 GROUP BY tag ORDER BY count(*) DESC, tag LIMIT 50;

-- name: missing_embeddings
SELECT contact_id, first_name, last_name, tags, description
  FROM contacts
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s
 ORDER BY contact_id LIMIT %(limit)s;
