-- name: set
-- A rule replaces the one before, and whatever came of it: it is only set while nothing has left.
INSERT INTO variant_tests AS v (tenant_id, campaign_id, share, wait_hours, outcome, unclear)
VALUES (%(tenant)s, %(campaign_id)s, %(share)s, %(wait_hours)s, %(outcome)s, %(unclear)s)
ON CONFLICT (tenant_id, campaign_id) DO UPDATE
   SET share = excluded.share, wait_hours = excluded.wait_hours, outcome = excluded.outcome, unclear = excluded.unclear,
       decide_at = NULL, asked_at = NULL, decided_at = NULL, decided_by = NULL, winner = NULL, evidence = NULL;

-- name: drop
DELETE FROM variant_tests WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s;

-- name: find
SELECT share, wait_hours, outcome, unclear, decide_at, asked_at, decided_at, decided_by, winner, evidence
  FROM variant_tests
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s;

-- name: forget_allotment
-- Before a campaign of which nothing has left is allotted anew: another share, or no test any more.
UPDATE deliveries SET tested = false, variant = 'a'
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND (tested OR variant <> 'a');

-- name: allot
-- Who gets which variant, and who waits: in the order of a hash, which is chance and the same every time. Each variant
-- gets as many people as the others, give or take one; who has a draft of their own gets that, and is in no test.
WITH going AS (
    SELECT contact_id, count(*) OVER () AS people,
           row_number() OVER (ORDER BY sha256(convert_to(campaign_id::text || contact_id::text, 'UTF8'))) - 1 AS place
      FROM deliveries
     WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'ready'
       AND email_id = (%(emails)s::uuid[])[1]
),
placed AS (
    SELECT contact_id, place < ceil(people * %(share)s / 100.0) AS tested,
           1 + place %% cardinality(%(emails)s::uuid[]) AS which
      FROM going
)
UPDATE deliveries d
   SET tested = p.tested,
       variant = (%(letters)s::text[])[CASE WHEN p.tested THEN p.which ELSE 1 END],
       email_id = (%(emails)s::uuid[])[CASE WHEN p.tested THEN p.which ELSE 1 END],
       next_attempt_at = CASE WHEN p.tested THEN d.next_attempt_at ELSE %(held)s END
  FROM placed p
 WHERE d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s AND d.contact_id = p.contact_id;

-- name: allot_again
-- A campaign that is approved again on its way: who was in the test stays in it with the same variant, the others wait,
-- or get the variant that was chosen.
UPDATE deliveries d
   SET email_id = (%(emails)s::uuid[])[array_position(%(letters)s::text[], k.letter)], variant = k.letter,
       next_attempt_at = CASE WHEN d.tested OR %(winner)s::text IS NOT NULL THEN d.next_attempt_at ELSE %(held)s END
  FROM (SELECT contact_id, CASE WHEN tested THEN variant ELSE coalesce(%(winner)s::text, (%(letters)s::text[])[1]) END
               AS letter
          FROM deliveries
         WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'ready' AND attempts = 0
           AND email_id = (%(emails)s::uuid[])[1]) AS k
 WHERE d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s AND d.contact_id = k.contact_id;

-- name: is_out
-- Whether everybody in the test had their turn; who waits for another try is not waited for. Held rows come last in
-- deliveries_ready, so they are not read.
SELECT NOT EXISTS (SELECT FROM deliveries
                    WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'ready'
                      AND next_attempt_at < %(held)s AND tested AND attempts = 0);

-- name: is_holding
SELECT EXISTS (SELECT FROM deliveries
                WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'ready'
                  AND next_attempt_at >= %(held)s);

-- name: wait
-- The wait begins; by the database's clock.
UPDATE variant_tests SET decide_at = now() + make_interval(hours => wait_hours)
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND decide_at IS NULL
RETURNING decide_at;

-- name: is_over
SELECT coalesce(decide_at <= now(), false) FROM variant_tests
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s;

-- name: ask
UPDATE variant_tests SET asked_at = now(), evidence = %(evidence)s
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s;

-- name: decide
-- Once: whoever comes second finds it decided.
UPDATE variant_tests
   SET decided_at = now(), decided_by = %(by)s, winner = %(winner)s, evidence = %(evidence)s, asked_at = NULL
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND decided_at IS NULL;

-- name: release
-- Those who waited get this variant, from now on.
UPDATE deliveries
   SET email_id = %(email_id)s, variant = %(variant)s, next_attempt_at = now(), updated_at = now()
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'ready' AND next_attempt_at >= %(held)s;

-- name: arms
-- What became of each variant: people, each once, machines left out. Of a test only those who were in it; else all, but
-- for those with a draft of their own. A bounce counts where nobody opened or clicked, as everywhere.
-- What came after `until` is left out.
WITH people AS (
    SELECT contact_id, bool_or(kind = 'open' AND class <> 'machine') AS opened,
           bool_or(kind = 'click' AND class <> 'machine') AS clicked,
           bool_or(kind = 'conversion' AND class <> 'machine') AS converted, bool_or(kind = 'bounce') AS bounced
      FROM events
     WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s
       AND at <= coalesce(%(until)s::timestamptz, 'infinity')
     GROUP BY contact_id
)
SELECT d.variant,
       count(*) FILTER (WHERE NOT coalesce(p.bounced AND NOT p.opened AND NOT p.clicked, false)) AS delivered,
       count(*) FILTER (WHERE p.opened) AS opened, count(*) FILTER (WHERE p.clicked) AS clicked,
       count(*) FILTER (WHERE p.converted) AS converted, max(d.sent_at) AS last_sent_at
  FROM deliveries d
  LEFT JOIN people p ON p.contact_id = d.contact_id
  LEFT JOIN campaign_emails e ON e.tenant_id = %(tenant)s AND e.campaign_id = %(campaign_id)s AND e.email_id = d.email_id
 WHERE d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s AND d.state = 'sent' AND e.contact_id IS NULL
   AND (d.tested OR NOT %(only_tested)s)
 GROUP BY d.variant
 ORDER BY d.variant;
