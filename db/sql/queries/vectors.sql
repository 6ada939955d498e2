-- name: contacts_missing
-- With something to embed, and a vector of no model or of another one; page by page, by id.
SELECT contact_id, ARRAY[array_to_string(tags, ', '), description]
  FROM contacts
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s
   AND coalesce(description, '') <> '' AND contact_id > %(after)s::uuid
 ORDER BY contact_id LIMIT %(limit)s;

-- name: contacts_count
SELECT count(*) FROM contacts
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s AND coalesce(description, '') <> '';

-- name: contacts_any
-- Whether a search by meaning sees all notes: asked with every search, so it stops at the first that is missing.
SELECT EXISTS (SELECT FROM contacts
                WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s
                  AND coalesce(description, '') <> '');

-- name: contacts_store
UPDATE contacts c SET vector_embedding = v.vector, embedding_model = %(model)s
  FROM unnest(%(ids)s::uuid[], %(vectors)s::halfvec[]) AS v (id, vector)
 WHERE c.tenant_id = %(tenant)s AND c.contact_id = v.id;

-- name: campaigns_missing
SELECT campaign_id, ARRAY[name::text, description]
  FROM campaigns
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s AND campaign_id > %(after)s::uuid
 ORDER BY campaign_id LIMIT %(limit)s;

-- name: campaigns_count
SELECT count(*) FROM campaigns WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s;

-- name: campaigns_store
UPDATE campaigns c SET vector_embedding = v.vector, embedding_model = %(model)s
  FROM unnest(%(ids)s::uuid[], %(vectors)s::halfvec[]) AS v (id, vector)
 WHERE c.tenant_id = %(tenant)s AND c.campaign_id = v.id;

-- name: emails_missing
SELECT email_id, ARRAY[subject::text, body]
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s AND email_id > %(after)s::uuid
 ORDER BY email_id LIMIT %(limit)s;

-- name: emails_count
SELECT count(*) FROM campaign_emails WHERE tenant_id = %(tenant)s AND embedding_model IS DISTINCT FROM %(model)s;

-- name: emails_store
UPDATE campaign_emails e SET vector_embedding = v.vector, embedding_model = %(model)s
  FROM unnest(%(ids)s::uuid[], %(vectors)s::halfvec[]) AS v (id, vector)
 WHERE e.tenant_id = %(tenant)s AND e.email_id = v.id;
