-- name: merge
-- An import's rows, one an address, from the table in which db/bulk.py staged them. What the file says wins over what
-- was there; what it leaves empty stays; tags and attributes are added; a status only ever gets stricter, so an old list
-- can't subscribe anybody again. Rows that would change nothing are not written.
WITH given AS (
    SELECT email, first_name, last_name, phone_number, description, string_to_array(coalesce(tags, ''), ',') AS tags,
           coalesce(status, 'subscribed') AS status, time_zone, coalesce(attributes, '{}') AS attributes
      FROM staged_contacts
),
written AS (
    INSERT INTO contacts AS c (tenant_id, email, first_name, last_name, phone_number, description, tags, status,
                               time_zone, attributes, created_at, updated_at)
    SELECT %(tenant)s, email, first_name, last_name, phone_number, description, tags, status, time_zone, attributes,
           %(at)s, %(at)s
      FROM given
    ON CONFLICT (tenant_id, lower(email)) DO UPDATE
       SET first_name = coalesce(excluded.first_name, c.first_name),
           last_name = coalesce(excluded.last_name, c.last_name),
           phone_number = coalesce(excluded.phone_number, c.phone_number),
           description = coalesce(excluded.description, c.description),
           tags = c.tags || ARRAY(SELECT t FROM unnest(excluded.tags) t WHERE t <> ALL (c.tags)),
           status = CASE WHEN c.status IN ('subscribed', 'unconfirmed') AND excluded.status <> 'subscribed'
                         THEN excluded.status ELSE c.status END,
           time_zone = coalesce(excluded.time_zone, c.time_zone),
           attributes = c.attributes || excluded.attributes,
           -- A vector is made of note and tags: with the old words goes the old vector, and only with them.
           vector_embedding = CASE WHEN coalesce(excluded.description, c.description)
                                            IS NOT DISTINCT FROM c.description AND excluded.tags <@ c.tags
                                   THEN c.vector_embedding END,
           embedding_model = CASE WHEN coalesce(excluded.description, c.description)
                                           IS NOT DISTINCT FROM c.description AND excluded.tags <@ c.tags
                                  THEN c.embedding_model END,
           updated_at = %(at)s
     WHERE (coalesce(excluded.first_name, c.first_name), coalesce(excluded.last_name, c.last_name),
            coalesce(excluded.phone_number, c.phone_number), coalesce(excluded.description, c.description),
            coalesce(excluded.time_zone, c.time_zone))
               IS DISTINCT FROM (c.first_name, c.last_name, c.phone_number, c.description, c.time_zone)
        OR NOT excluded.tags <@ c.tags
        OR NOT c.attributes @> excluded.attributes
        OR (c.status IN ('subscribed', 'unconfirmed') AND excluded.status NOT IN ('subscribed', c.status))
    RETURNING (xmax = 0) AS created
)
SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM written;

-- name: keep_out
-- Those of an import who left before, or whose address bounced: whatever the list says they are no subscribers, and are
-- shown as what they are. Returns how many the list would have subscribed.
WITH kept AS (
    SELECT g.email, coalesce(g.status, 'subscribed') AS said,
           CASE WHEN s.reason IN ('bounced', 'complained') THEN s.reason ELSE 'unsubscribed' END AS status
      FROM staged_contacts g
      JOIN suppressions s ON s.tenant_id = %(tenant)s AND s.address_hash = suppression_hash(%(tenant)s, g.email)
),
marked AS (
    UPDATE contacts c SET status = k.status, updated_at = %(at)s
      FROM kept k
     WHERE c.tenant_id = %(tenant)s AND lower(c.email) = lower(k.email) AND c.status IN ('subscribed', 'unconfirmed')
)
SELECT count(*) FROM kept WHERE said IN ('subscribed', 'unconfirmed');

-- name: suppress
-- Those of an import who must not be mailed, in the import's own transaction. ORDER BY: two imports at once take their
-- rows in one order, and wait instead of blocking each other.
INSERT INTO suppressions (tenant_id, address_hash, reason, source, created_at)
SELECT %(tenant)s, suppression_hash(%(tenant)s, email) AS hash, status, 'import', %(at)s
  FROM staged_contacts
 WHERE status IN ('unsubscribed', 'bounced', 'complained')
 ORDER BY hash
ON CONFLICT (tenant_id, address_hash) DO NOTHING;
