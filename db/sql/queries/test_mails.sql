-- name: add
INSERT INTO test_mails (tenant_id, campaign_id, contact_id, address, subject, body, created_at)
SELECT %(tenant)s, %(campaign_id)s,
       (SELECT m.contact_id FROM campaign_contacts m
         WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign_id)s ORDER BY m.contact_id LIMIT 1),
       %(address)s, e.subject, e.body, %(at)s
  FROM campaign_emails e
 WHERE e.tenant_id = %(tenant)s AND e.campaign_id = %(campaign_id)s AND e.contact_id IS NULL;

-- name: begin
-- Halting stops tests as well. A suppressed address gets none: its owner said never again.
WITH picked AS (
    SELECT m.test_id, m.address
      FROM test_mails m
     WHERE m.tenant_id = %(tenant)s AND m.state = 'ready'
       AND EXISTS (SELECT FROM tenants t WHERE t.id = %(tenant)s AND t.halted_at IS NULL)
     ORDER BY m.created_at
     LIMIT %(most)s
       FOR UPDATE OF m SKIP LOCKED
),
checked AS (
    SELECT p.test_id, EXISTS (SELECT FROM suppressions s
                               WHERE s.tenant_id = %(tenant)s
                                 AND s.address_hash = suppression_hash(%(tenant)s, p.address)) AS suppressed
      FROM picked p
)
UPDATE test_mails m
   SET state = CASE WHEN k.suppressed THEN 'failed' ELSE 'sending' END,
       reason = CASE WHEN k.suppressed THEN 'the address is suppressed' END,
       lease_owner = %(owner)s, lease_until = now() + %(lease)s::interval
  FROM checked k
 WHERE m.tenant_id = %(tenant)s AND m.test_id = k.test_id
RETURNING m.test_id, m.campaign_id, m.contact_id, m.address, m.subject, m.body, m.state;

-- name: finish
UPDATE test_mails
   SET state = %(state)s, reason = %(reason)s, sent_at = CASE WHEN %(state)s = 'sent' THEN now() END
 WHERE tenant_id = %(tenant)s AND test_id = %(test_id)s AND state = 'sending' AND lease_owner = %(owner)s;

-- name: expire
UPDATE test_mails SET state = 'unknown', reason = 'in flight when a worker stopped'
 WHERE tenant_id = %(tenant)s AND state = 'sending' AND lease_until < now();

-- name: forget_address
UPDATE test_mails SET address = '', subject = '', body = ''
 WHERE tenant_id = %(tenant)s
   AND (contact_id = %(contact_id)s::uuid OR lower(address) = lower(%(address)s));
