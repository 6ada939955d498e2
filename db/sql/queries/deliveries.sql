-- name: count_for_contact
SELECT count(*) FROM deliveries WHERE tenant_id = %(tenant)s AND contact_id = %(contact_id)s AND state = 'sent';

-- name: suppress
INSERT INTO suppressions (tenant_id, address_hash, reason, source, created_at)
VALUES (%(tenant)s, suppression_hash(%(tenant)s, %(email)s), %(reason)s, %(source)s, %(at)s)
ON CONFLICT (tenant_id, address_hash) DO NOTHING;

-- name: skip_waiting
-- In the transaction that suppresses an address: its rows are settled at once. A worker that holds such a row has begun
-- it, and this waits for its commit; so at this commit a mail has begun before, or never leaves.
UPDATE deliveries d
   SET state = 'skipped', reason = %(reason)s, updated_at = now()
  FROM contacts c
 WHERE c.tenant_id = %(tenant)s AND lower(c.email) = lower(%(email)s)
   AND d.tenant_id = %(tenant)s AND d.contact_id = c.contact_id AND d.state = 'ready';

-- name: suppression
SELECT reason FROM suppressions
 WHERE tenant_id = %(tenant)s AND address_hash = suppression_hash(%(tenant)s, %(email)s);

-- name: lift_suppression
-- Only of the transaction's own tenant_id, and only where it stands for a person's wish: the function sees to both.
SELECT lift_suppression(%(tenant)s, %(email)s);

-- In what follows `OFFSET 0` and `= ANY` are there for the planner: a table that was filled a moment ago has no statistics
-- yet, and a join on (tenant, campaign) alone looks as good to it as one on the whole key. Like this each row is found
-- by its whole key, always.

-- name: fill
-- What a person approved, as rows: who gets the campaign, at which address and when, and who is left out and why. Rows
-- that have begun stay as they are, so a campaign that is approved again never mails anybody twice.
-- `zoned`: at the wall time of send_at in each recipient's own zone, at once where that has passed.
INSERT INTO deliveries AS d (tenant_id, campaign_id, contact_id, email_id, address, state, reason, next_attempt_at,
                             created_at, updated_at)
SELECT %(tenant)s, %(campaign_id)s, c.contact_id, coalesce(own.email_id, %(template_id)s::uuid), c.email,
       CASE WHEN left_out.why IS NULL THEN 'ready' ELSE 'skipped' END, left_out.why,
       CASE WHEN %(zoned)s::bool AND z.name IS NOT NULL
            THEN greatest(%(at)s::timestamptz,
                          (%(send_at)s::timestamptz AT TIME ZONE %(zone)s::text) AT TIME ZONE z.name)
            ELSE %(send_at)s::timestamptz END,
       %(at)s, %(at)s
  FROM campaign_contacts m
  JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id = m.contact_id
  LEFT JOIN LATERAL (SELECT reason FROM suppressions
                      WHERE tenant_id = %(tenant)s AND address_hash = suppression_hash(%(tenant)s, c.email)
                     OFFSET 0) s ON true
  LEFT JOIN LATERAL (SELECT email_id FROM campaign_emails
                      WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id = c.contact_id
                        AND variant = 'a'
                     OFFSET 0) own ON true
  LEFT JOIN pg_timezone_names z ON %(zoned)s::bool AND z.name = c.time_zone,
       LATERAL (SELECT CASE WHEN c.status <> 'subscribed' THEN c.status
                            WHEN s.reason IS NOT NULL THEN 'suppressed (' || s.reason || ')' END AS why) left_out
 WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s
ON CONFLICT (tenant_id, campaign_id, contact_id) DO UPDATE
   SET email_id = excluded.email_id, address = excluded.address, state = excluded.state, reason = excluded.reason,
       next_attempt_at = excluded.next_attempt_at, updated_at = excluded.updated_at
 WHERE d.attempts = 0 AND d.state IN ('ready', 'skipped');

-- name: drop_removed
-- Who was taken out of the campaign since an earlier approval is not mailed.
UPDATE deliveries d
   SET state = 'skipped', reason = 'taken out of the campaign', updated_at = %(at)s
 WHERE d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s AND d.state = 'ready'
   AND NOT EXISTS (SELECT FROM campaign_contacts m
                    WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s
                      AND m.contact_id = d.contact_id
                   OFFSET 0);

-- name: first_due
SELECT min(next_attempt_at) FROM deliveries
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'ready';

-- name: drift
-- How the campaign differs from the rows that a person approved. Who left since then is no difference: they are skipped
-- when their turn comes, and whoever came back stays left out.
SELECT (SELECT count(*)
          FROM campaign_contacts m
          JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id = m.contact_id AND c.status = 'subscribed'
         WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s
           AND NOT EXISTS (SELECT FROM deliveries d
                            WHERE d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s
                              AND d.contact_id = m.contact_id
                           OFFSET 0)
           AND NOT EXISTS (SELECT FROM suppressions s
                            WHERE s.tenant_id = %(tenant)s
                              AND s.address_hash = suppression_hash(%(tenant)s, c.email)
                           OFFSET 0)) AS added,
       count(*) FILTER (WHERE NOT EXISTS (SELECT FROM campaign_contacts m
                                           WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s
                                             AND m.contact_id = d.contact_id
                                          OFFSET 0)) AS removed,
       count(*) FILTER (WHERE c.email <> d.address) AS readdressed
  FROM deliveries d
  JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id = d.contact_id
 WHERE d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s AND d.state = 'ready';

-- name: begin
-- The one statement after which a mail may leave. SKIP LOCKED: two workers never take the same row. Whether the campaign
-- is under way, the tenant halted, the address suppressed, the contact gone or their address another one is looked at
-- here, so nothing is sent on what was true a moment ago. (after_at, after_id) is where this worker's last look ended:
-- it need not step over the index entries of rows that have begun.
WITH picked AS (
    SELECT d.contact_id, d.address
      FROM deliveries d
     WHERE d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s AND d.state = 'ready'
       AND d.next_attempt_at <= now()
       AND (d.next_attempt_at, d.contact_id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
       AND EXISTS (SELECT FROM campaigns k JOIN tenants t ON t.id = k.tenant_id
                    WHERE k.tenant_id = %(tenant)s AND k.campaign_id = %(campaign_id)s AND k.status = 'sending'
                      AND t.halted_at IS NULL)
     ORDER BY d.next_attempt_at, d.contact_id
     LIMIT %(most)s
       FOR UPDATE OF d SKIP LOCKED
),
checked AS (
    SELECT p.contact_id, c.first_name, c.last_name, c.phone_number,
           CASE WHEN c.status IS NULL THEN 'erased'
                WHEN c.status <> 'subscribed' THEN c.status
                WHEN s.reason IS NOT NULL THEN 'suppressed (' || s.reason || ')'
                WHEN c.email <> p.address THEN 'the address was changed after the approval' END AS left_out
      FROM picked p
      LEFT JOIN LATERAL (SELECT status, email, first_name, last_name, phone_number
                           FROM contacts WHERE tenant_id = %(tenant)s AND contact_id = p.contact_id
                         OFFSET 0) c ON true
      LEFT JOIN LATERAL (SELECT reason
                           FROM suppressions
                          WHERE tenant_id = %(tenant)s AND address_hash = suppression_hash(%(tenant)s, p.address)
                         OFFSET 0) s ON true
)
UPDATE deliveries d
   SET state = CASE WHEN k.left_out IS NULL THEN 'sending' ELSE 'skipped' END, reason = k.left_out,
       attempts = d.attempts + (k.left_out IS NULL)::int,
       first_attempt_at = coalesce(d.first_attempt_at, now()),
       lease_owner = CASE WHEN k.left_out IS NULL THEN %(owner)s END,
       lease_until = CASE WHEN k.left_out IS NULL THEN now() + %(lease)s::interval END,
       updated_at = now()
  FROM checked k
 WHERE d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s
   AND d.contact_id = ANY (ARRAY(SELECT contact_id FROM picked)) AND d.contact_id = k.contact_id
RETURNING d.campaign_id, d.contact_id, d.email_id, d.address, d.state, d.attempts, d.next_attempt_at, k.first_name,
          k.last_name, k.phone_number;

-- name: finish
-- What a server answered. A row that another worker has taken over since (its attempts went on) stays as it is; one that
-- only lost its lease takes the late answer. 'ready' waits `wait`, unless the first try is older than `give_up`;
-- `returned` ones never left this program, so the try does not count.
WITH f AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb)
                  AS f (campaign_id uuid, contact_id uuid, attempts int, state text, reason text, code int, answer text,
                        wait float, returned bool, message_id text)
)
UPDATE deliveries d
   SET state = CASE WHEN f.state = 'ready' AND NOT f.returned AND now() > d.first_attempt_at + %(give_up)s::interval
                    THEN 'failed' ELSE f.state END,
       reason = f.reason, smtp_code = f.code, smtp_answer = f.answer,
       message_id = coalesce(d.message_id, f.message_id),
       attempts = d.attempts - f.returned::int,
       next_attempt_at = CASE WHEN f.state = 'ready' THEN now() + make_interval(secs => coalesce(f.wait, 0))
                              ELSE d.next_attempt_at END,
       sent_at = CASE WHEN f.state = 'sent' THEN now() END,
       lease_owner = NULL, lease_until = NULL, updated_at = now()
  FROM f
 WHERE d.tenant_id = %(tenant)s
   AND d.campaign_id = ANY (ARRAY(SELECT DISTINCT campaign_id FROM f))
   AND d.contact_id = ANY (ARRAY(SELECT contact_id FROM f))
   AND d.campaign_id = f.campaign_id AND d.contact_id = f.contact_id AND d.attempts = f.attempts
   AND ((d.state = 'sending' AND d.lease_owner = %(owner)s)
        OR (d.state IN ('unknown', 'ready') AND f.state IN ('sent', 'failed')))
RETURNING d.campaign_id, d.contact_id, d.state, d.sent_at, d.reason;

-- name: renew
-- A server may take ten minutes for an answer (RFC 5321, 4.5.3.2.6): who still waits for one keeps the row.
UPDATE deliveries SET lease_until = now() + %(lease)s::interval
 WHERE tenant_id = %(tenant)s AND state = 'sending' AND lease_owner = %(owner)s
   AND (campaign_id, contact_id) IN (SELECT * FROM unnest(%(campaigns)s::uuid[], %(contacts)s::uuid[]));

-- name: expire
-- Rows whose worker died in flight: nobody can know whether the server took the mail, so the campaign's owner has said
-- what is done.
UPDATE deliveries d
   SET state = CASE k.on_crash WHEN 'resend' THEN 'ready' ELSE 'unknown' END,
       reason = 'in flight when a worker stopped', next_attempt_at = now(), lease_owner = NULL, lease_until = NULL,
       updated_at = now()
  FROM campaigns k
 WHERE d.tenant_id = %(tenant)s AND d.state IN ('leased', 'sending') AND d.lease_until < now()
   AND k.tenant_id = %(tenant)s AND k.campaign_id = d.campaign_id
RETURNING d.campaign_id;

-- name: settle_unknown
-- A person decides about mails that were in flight: 'ready' sends them again, 'sent' takes them as sent.
UPDATE deliveries
   SET state = %(to)s, reason = %(reason)s, next_attempt_at = %(at)s,
       sent_at = CASE WHEN %(to)s = 'sent' THEN updated_at END, updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'unknown'
RETURNING campaign_id, contact_id, state, sent_at, reason;

-- name: states
SELECT state, coalesce(reason, '') AS reason, count(*) AS many
  FROM deliveries
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s
 GROUP BY 1, 2
 ORDER BY 1, 3 DESC, 2;

-- name: has_begun
SELECT EXISTS (SELECT FROM deliveries
                WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND attempts > 0);

-- name: is_under_way
-- Whether there is anything to wait for; each branch is one look into an index.
SELECT EXISTS (SELECT FROM deliveries
                WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'ready')
    OR EXISTS (SELECT FROM deliveries
                WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state IN ('leased', 'sending'));

-- name: open_day
INSERT INTO send_days (tenant_id, day)
SELECT %(tenant)s, (now() AT TIME ZONE time_zone)::date FROM tenants WHERE id = %(tenant)s
ON CONFLICT (tenant_id, day) DO NOTHING;

-- name: take_from_day
-- A portion of the tenant's daily cap, on the tenant's calendar; less when less is left.
WITH before AS (
    SELECT d.day, d.begun, t.daily_cap
      FROM tenants t
      JOIN send_days d ON d.tenant_id = %(tenant)s AND d.day = (now() AT TIME ZONE t.time_zone)::date
     WHERE t.id = %(tenant)s
       FOR UPDATE OF d
)
UPDATE send_days s
   SET begun = s.begun + greatest(0, least(%(most)s, b.daily_cap - b.begun))
  FROM before b
 WHERE s.tenant_id = %(tenant)s AND s.day = b.day
RETURNING s.day, greatest(0, least(%(most)s, b.daily_cap - b.begun)) AS taken;

-- name: give_back_to_day
UPDATE send_days SET begun = greatest(0, begun - %(many)s) WHERE tenant_id = %(tenant)s AND day = %(day)s;

-- name: bounced
-- A hard refusal: the address is suppressed by `suppress`, the contact says so, and it is an event.
WITH contact AS (
    UPDATE contacts SET status = 'bounced', updated_at = now()
     WHERE tenant_id = %(tenant)s AND contact_id = %(contact_id)s AND status IN ('subscribed', 'unconfirmed')
)
INSERT INTO events (tenant_id, campaign_id, contact_id, kind, reason, idempotency_key)
VALUES (%(tenant)s, %(campaign_id)s, %(contact_id)s, 'bounce', %(reason)s, 'smtp bounce ' || %(contact_id)s::text)
ON CONFLICT (tenant_id, campaign_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING;

-- name: take_back
-- After the line to the database was lost in a COMMIT: rows that this worker has begun without ever hearing of it.
UPDATE deliveries
   SET state = 'ready', attempts = attempts - 1, next_attempt_at = now(), lease_owner = NULL, lease_until = NULL,
       updated_at = now()
 WHERE tenant_id = %(tenant)s AND state = 'sending' AND lease_owner = %(owner)s
   AND NOT (campaign_id, contact_id) IN (SELECT * FROM unnest(%(campaigns)s::uuid[], %(contacts)s::uuid[]));

-- name: skip_rest
-- A cancelled campaign: whoever has not been mailed never is.
UPDATE deliveries SET state = 'skipped', reason = %(reason)s, updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'ready';

-- name: count_unknown
SELECT count(*) FROM deliveries
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'unknown';

-- name: page
-- In the order of the key, those after the given row: rows that are added meanwhile shift nothing.
SELECT d.campaign_id, c.name AS campaign, d.contact_id, d.address, d.variant, d.state, d.reason, d.attempts,
       d.next_attempt_at, d.smtp_code, d.message_id, d.sent_at
  FROM deliveries d
  JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = d.campaign_id
 WHERE d.tenant_id = %(tenant)s
   AND (%(campaign_id)s::uuid IS NULL OR d.campaign_id = %(campaign_id)s)
   AND (%(state)s::text IS NULL OR d.state = %(state)s)
   AND (%(after_campaign)s::uuid IS NULL OR (d.campaign_id, d.contact_id) > (%(after_campaign)s, %(after_id)s::uuid))
 ORDER BY d.campaign_id, d.contact_id
 LIMIT %(limit)s;
