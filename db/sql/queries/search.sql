-- name: indexed
-- How many contacts a tenant's own indexes hold, as Postgres last counted; no row while they are not all there.
SELECT max(c.reltuples)::bigint
  FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%(names)s::text[]) AND i.indisvalid
   AND %(tenant)s::uuid IS NOT NULL -- the names hold the tenant_id
HAVING count(*) = cardinality(%(names)s::text[]);

-- name: tuned
-- For the rest of the transaction: how far the nearest-neighbour index looks, and on when a filter takes rows away.
-- Without sequential scans and helpers: the planner can't know how rare a word is, and would read a million rows for a
-- word of nobody.
SELECT set_config('hnsw.ef_search', %(breadth)s::text, true), set_config('hnsw.iterative_scan', 'relaxed_order', true),
       set_config('hnsw.max_scan_tuples', '200000', true), set_config('enable_seqscan', 'off', true),
       set_config('max_parallel_workers_per_gather', '0', true)
 WHERE %(tenant)s::uuid IS NOT NULL; -- of the transaction's tenant_id only

-- name: patient
-- For the rest of the transaction: comparing a million people takes its time, and is asked for by who wants them all.
SELECT set_config('statement_timeout', '600s', true)
 WHERE %(tenant)s::uuid IS NOT NULL; -- of the transaction's tenant_id only

-- name: near
-- Who may be among the best of a large tenant: the nearest by their vectors, and who has a rare word of the question.
-- Words that are common in a sample of the tenant's contacts, or held by three hundred and more, add nobody: they would
-- not raise anybody far, and who holds them and is meant is near as well.
-- The sample also says how near to this question the tenant's notes are in general. Ids are random, so those that come
-- first are a fair sample, and always the same one.
WITH sample AS MATERIALIZED (
    SELECT 1 - (vector_embedding <=> %(vector)s::halfvec) AS meaning, search
      FROM findable_contacts
     WHERE tenant_id = %(tenant)s::uuid AND embedding_model = %(model)s::text
     ORDER BY contact_id LIMIT 300
),
nearest AS MATERIALIZED (
    SELECT contact_id
      FROM findable_contacts c
     WHERE tenant_id = %(tenant)s::uuid AND embedding_model = %(model)s::text
       AND (%(status)s::text IS NULL OR status = %(status)s)
       AND (%(tags)s::text[] IS NULL OR tags @> %(tags)s::text[])
       AND (%(campaign)s::uuid IS NULL OR EXISTS (
                SELECT FROM campaign_contacts m
                 WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign)s::uuid
                   AND m.contact_id = c.contact_id))
     ORDER BY vector_embedding <=> %(vector)s::halfvec LIMIT %(breadth)s
),
words AS MATERIALIZED (
    SELECT place, asked, (SELECT count(*) FROM sample WHERE search @@ asked) AS sampled
      FROM (SELECT place, forms_of(word, stem) AS asked
              FROM unnest(%(words)s::text[], %(stems)s::text[]) WITH ORDINALITY AS given (word, stem, place)) AS forms
),
-- Who is named, has the number, or the code: at most three hundred of each.
called AS (
    (SELECT contact_id FROM findable_contacts
      WHERE tenant_id = %(tenant)s::uuid AND name_of(first_name, last_name) ~ folded(%(name_pattern)s) LIMIT 300)
    UNION ALL
    (SELECT contact_id FROM findable_contacts
      WHERE tenant_id = %(tenant)s::uuid AND search @@ phraseto_tsquery('folded', %(phone)s) LIMIT 300)
    UNION ALL
    (SELECT contact_id FROM findable_contacts
      WHERE tenant_id = %(tenant)s::uuid AND search @@ phraseto_tsquery('folded', %(code)s) LIMIT 300)
),
holders AS MATERIALIZED (
    SELECT place, sampled, found.ids, coalesce(cardinality(found.ids), 0) AS held
      FROM words
      LEFT JOIN LATERAL (
          SELECT array_agg(contact_id) AS ids
            FROM (SELECT contact_id FROM findable_contacts
                   WHERE tenant_id = %(tenant)s::uuid AND search @@ words.asked LIMIT 300) AS first) AS found
             ON words.sampled < 3
)
SELECT (SELECT array_agg(contact_id) FROM (SELECT contact_id FROM nearest
                                           UNION SELECT contact_id FROM called
                                           UNION SELECT unnest(ids) FROM holders WHERE held < 300) AS candidates) AS ids,
       -- In the formula of `ranked`; a word that was not counted is as common as in the sample.
       (SELECT array_agg(1 - ln(1 + CASE WHEN sampled < 3 AND held < 300 THEN held
                                         ELSE greatest(held, sampled * %(size)s::float8 / 300) END)
                             / ln(2 + %(size)s::float8) ORDER BY place)
          FROM holders) AS rarities,
       avg(meaning) AS mean, stddev_pop(meaning) AS deviation
  FROM sample;

-- name: named_like
-- A word that nobody's name, note or tag holds may be a misspelt name: whose name shares the most trigrams with the
-- question then. How near it really is, is judged by letters afterwards.
SELECT contact_id, name_of(first_name, last_name), folded(coalesce(last_name, '')), folded(%(name)s)
  FROM findable_contacts
 WHERE tenant_id = %(tenant)s::uuid AND name_of(first_name, last_name) %% folded(%(name)s)
   AND (SELECT bool_or(NOT EXISTS (SELECT FROM findable_contacts WHERE tenant_id = %(tenant)s::uuid
                                      AND search @@ phraseto_tsquery('folded', word)))
          FROM unnest(%(words)s::text[]) AS word)
 ORDER BY similarity(name_of(first_name, last_name), folded(%(name)s)) DESC, contact_id
 LIMIT 50;

-- name: ranked
-- Meaning, plus a bonus for matched words that are rare among this tenant's contacts (DESIGN section 5: fusing ranks
-- instead made every model worse), squared, so that one word of several moves little; plus more than both can reach for who is named: by address, phone number or full
-- name; by a code, or by words that are all in the name; by a name that is nearly the one asked for.
-- Cosines have no absolute scale: "near" is what stands out from this tenant's own notes for this question by some
-- standard deviations, and reaches a share of the best score. Few notes have no deviation to speak of: there the share
-- is larger. Of a large tenant only the candidates are read (`near`), and its scale is that of a sample.
WITH words AS MATERIALIZED (
    SELECT place, word, forms_of(word, stem) AS forms, known
      FROM unnest(%(words)s::text[], %(stems)s::text[], %(rarities)s::float8[])
           WITH ORDINALITY AS given (word, stem, known, place)
),
asked AS MATERIALIZED (
    SELECT lower(%(query)s) AS address, folded(%(query)s) AS name, to_tsquery('folded', %(named)s) AS named,
           phraseto_tsquery('folded', %(code)s) AS code,
           (SELECT string_agg('(' || forms::text || ')', ' | ') FROM words WHERE numnode(forms) > 0)::tsquery AS any_word
),
compared AS MATERIALIZED (
    SELECT c.contact_id, c.status, c.tags, c.email,
           CASE WHEN c.embedding_model = %(model)s THEN 1 - (c.vector_embedding <=> %(vector)s::halfvec) END AS meaning,
           -- Most hold no word: that is seen at one look.
           CASE WHEN c.search @@ asked.any_word
                THEN ARRAY(SELECT place FROM words WHERE c.search @@ words.forms) END AS places,
           CASE WHEN lower(c.email) = asked.address OR c.phone_number = %(phone)s
                     OR (c.search @@ asked.named AND name_of(c.first_name, c.last_name) = asked.name) THEN 3
                WHEN c.search @@ asked.named OR c.search @@ asked.code THEN 2
                ELSE coalesce((%(alike)s::float8[])[array_position(%(like_ids)s::uuid[], c.contact_id)], 0) END
               AS called
      FROM contacts c CROSS JOIN asked
     WHERE c.tenant_id = %(tenant)s
       AND (%(ids)s::uuid[] IS NULL OR c.contact_id = ANY (%(ids)s::uuid[]))
),
holders AS (
    SELECT place, count(*) AS held FROM compared, unnest(places) AS place GROUP BY place
),
rarities AS MATERIALIZED (
    SELECT place, word,
           coalesce(known, 1 - ln(1 + coalesce(held, 0)) / ln(2 + (SELECT count(*) FROM compared))) AS rarity
      FROM words LEFT JOIN holders USING (place)
),
scored AS (
    SELECT contact_id, status, tags, email, meaning, places, called,
           -- Without a vector (not yet, or of another model) it is as near as the words of the question it holds.
           coalesce(meaning, 0.4 * coalesce(cardinality(places), 0) / %(count)s) + called
               + CASE WHEN places IS NULL THEN 0
                      ELSE %(bonus)s * ((SELECT sum(rarity) FROM rarities WHERE place = ANY (places)) / %(count)s) ^ 2
                 END
               AS score
      FROM compared
),
scale AS (
    SELECT CASE WHEN %(narrow)s AND max(called) = 3 THEN 2.5
                WHEN %(mean)s::float8 IS NOT NULL OR count(meaning) >= 30
                THEN greatest(%(floor)s, %(share)s * max(meaning),
                              coalesce(%(mean)s::float8, avg(meaning))
                              + %(deviations)s * coalesce(%(deviation)s::float8, stddev_pop(meaning)))
                ELSE greatest(%(few_floor)s, %(few_share)s * max(score)) END AS least
      FROM scored
),
best AS (
    SELECT contact_id, places, called, score
      FROM scored c, scale
     WHERE score >= least
       AND (%(status)s::text IS NULL OR c.status = %(status)s)
       AND (%(tags)s::text[] IS NULL OR c.tags @> %(tags)s::text[])
       AND (%(campaign)s::uuid IS NULL OR EXISTS (
                SELECT FROM campaign_contacts m
                 WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign)s::uuid
                   AND m.contact_id = c.contact_id))
     ORDER BY score DESC, email
    OFFSET %(offset)s LIMIT %(limit)s
)
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, time_zone, created_at,
       ARRAY(SELECT word FROM words WHERE place = ANY (places)) AS matched, called, score
  FROM best JOIN contacts c USING (contact_id)
 WHERE c.tenant_id = %(tenant)s
 ORDER BY score DESC, email;
