-- name: take_turn
-- One program at a time makes vectors for the tenant_id; the turn ends with the transaction, however that ends.
SELECT pg_try_advisory_xact_lock(hashtextextended('embedding ' || %(tenant)s::uuid, 0));

-- name: contacts_missing
-- With something to embed, and a vector of no model or (unless only_new) of another one; page by page, by id. xmin is
-- the version of the row: what was changed while its vector was made does not get the vector of its old words.
SELECT contact_id, ARRAY[array_to_string(tags, ', '), description], xmin::text
  FROM contacts
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s
   AND (embedding_model IS NULL OR NOT %(only_new)s)
   AND description <> '' AND contact_id > %(after)s::uuid
 ORDER BY contact_id LIMIT %(limit)s;

-- name: contacts_count
SELECT count(*) FROM contacts
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s AND description <> ''
   AND (embedding_model IS NULL OR NOT %(only_new)s);

-- name: contacts_any
-- Whether a search by meaning sees all notes: asked with every search, so it stops at the first that is missing.
SELECT EXISTS (SELECT FROM contacts
                WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s
                  AND description <> '');

-- name: contacts_store
UPDATE contacts c SET vector_embedding = v.vector, embedding_model = %(model)s
  FROM unnest(%(ids)s::uuid[], %(versions)s::text[], %(vectors)s::halfvec[]) AS v (id, version, vector)
 WHERE c.tenant_id = %(tenant)s AND c.contact_id = v.id AND c.xmin::text = v.version;

-- name: campaigns_missing
SELECT campaign_id, ARRAY[name::text, description], xmin::text
  FROM campaigns
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s
   AND (embedding_model IS NULL OR NOT %(only_new)s) AND campaign_id > %(after)s::uuid
 ORDER BY campaign_id LIMIT %(limit)s;

-- name: campaigns_count
SELECT count(*) FROM campaigns
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s
   AND (embedding_model IS NULL OR NOT %(only_new)s);

-- name: campaigns_store
UPDATE campaigns c SET vector_embedding = v.vector, embedding_model = %(model)s
  FROM unnest(%(ids)s::uuid[], %(versions)s::text[], %(vectors)s::halfvec[]) AS v (id, version, vector)
 WHERE c.tenant_id = %(tenant)s AND c.campaign_id = v.id AND c.xmin::text = v.version;

-- name: emails_missing
SELECT email_id, ARRAY[subject::text, body], xmin::text
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s
   AND (embedding_model IS NULL OR NOT %(only_new)s) AND email_id > %(after)s::uuid
 ORDER BY email_id LIMIT %(limit)s;

-- name: emails_count
SELECT count(*) FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s
   AND (embedding_model IS NULL OR NOT %(only_new)s);

-- name: emails_store
UPDATE campaign_emails e SET vector_embedding = v.vector, embedding_model = %(model)s
  FROM unnest(%(ids)s::uuid[], %(versions)s::text[], %(vectors)s::halfvec[]) AS v (id, version, vector)
 WHERE e.tenant_id = %(tenant)s AND e.email_id = v.id AND e.xmin::text = v.version;
