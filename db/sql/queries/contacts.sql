-- name: add
INSERT INTO contacts (tenant_id, email, first_name, last_name, phone_number, description, status, tags,
                      vector_embedding, embedding_model, created_at, updated_at)
VALUES (%(tenant)s, %(email)s::text, %(first_name)s, %(last_name)s, %(phone_number)s, %(description)s,
        -- Whoever left before is no subscriber because somebody types their address again.
        coalesce((SELECT CASE WHEN reason IN ('bounced', 'complained') THEN reason ELSE 'unsubscribed' END
                    FROM suppressions
                   WHERE tenant_id = %(tenant)s
                     AND address_hash = suppression_hash(%(tenant)s, %(email)s::text)), %(status)s),
        %(tags)s, %(vector)s, %(model)s, %(at)s, %(at)s)
-- The address is the identity: who adds it a second time is told so, by no row coming back.
ON CONFLICT (tenant_id, lower(email)) DO NOTHING
RETURNING contact_id;

-- name: update
-- A new address may be one that must not be mailed.
UPDATE contacts
   SET status = CASE WHEN status IN ('subscribed', 'unconfirmed')
                     THEN coalesce((SELECT CASE WHEN reason IN ('bounced', 'complained') THEN reason
                                                ELSE 'unsubscribed' END
                                      FROM suppressions
                                     WHERE tenant_id = %(tenant)s
                                       AND address_hash = suppression_hash(%(tenant)s, %(email)s::text)), status)
                     ELSE status END,
       email = %(email)s::text, first_name = %(first_name)s, last_name = %(last_name)s, phone_number = %(phone_number)s,
       description = %(description)s, tags = %(tags)s, vector_embedding = %(vector)s, embedding_model = %(model)s,
       updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: note
-- Something that is known of a contact beside the fields.
UPDATE contacts SET attributes = attributes || %(attributes)s, updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: subscribe
UPDATE contacts SET status = 'subscribed', updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: erase
DELETE FROM contacts WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: find
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM contacts
 WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: by_email
-- Here and below: through the view, an index is used (db/sql/migrations/0002_search.sql).
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM findable_contacts
 WHERE tenant_id = %(tenant)s AND lower(email) = lower(%(email)s);

-- name: by_emails
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM findable_contacts
 WHERE tenant_id = %(tenant)s AND lower(email) = ANY (%(emails)s::text[]);

-- name: by_name
-- In any case, with or without accents. Its words find it by index, if the tenant has one of its own.
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM findable_contacts
 WHERE tenant_id = %(tenant)s
   AND search @@ plainto_tsquery('folded', %(name)s) AND name_of(first_name, last_name) = folded(%(name)s)
 ORDER BY email
 LIMIT 6;

-- name: like
-- For "did you mean": the nearest names and addresses by shared trigrams.
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at
  FROM findable_contacts
 WHERE tenant_id = %(tenant)s
   AND (name_of(first_name, last_name) %% folded(%(name)s) OR email %% %(name)s::text)
 ORDER BY greatest(similarity(name_of(first_name, last_name), folded(%(name)s)), similarity(email, %(name)s::text)) DESC,
          contact_id
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

-- name: tag_among
-- The first of some names that is a tag of somebody.
SELECT name
  FROM unnest(%(names)s::text[]) WITH ORDINALITY AS given (name, place)
 WHERE EXISTS (SELECT FROM findable_contacts WHERE tenant_id = %(tenant)s::uuid AND tags @> ARRAY[name])
 ORDER BY place LIMIT 1;

-- name: all_tags
-- Ids are random: the first ten thousand are a fair sample.
SELECT tag, count(*)
  FROM (SELECT tags FROM contacts WHERE tenant_id = %(tenant)s ORDER BY contact_id LIMIT 10000) AS sampled,
       unnest(tags) AS tag
 GROUP BY tag ORDER BY count(*) DESC, tag LIMIT 50;
