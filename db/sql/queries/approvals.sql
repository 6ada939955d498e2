-- name: add
INSERT INTO approvals (tenant_id, action, campaign_id, contact_id, arguments, fingerprint, recipient_count, card,
                       requested_by, requested_via, requested_at, expires_at)
VALUES (%(tenant)s, %(action)s, %(campaign_id)s, %(contact_id)s, %(arguments)s, %(fingerprint)s, %(recipient_count)s,
        %(card)s, %(requested_by)s, %(requested_via)s, %(at)s, %(expires_at)s)
RETURNING *;

-- name: withdraw_others
-- A new request for the same thing replaces the open ones: a person never decides on an outdated card.
UPDATE approvals
   SET state = 'withdrawn', decided_at = %(at)s
 WHERE tenant_id = %(tenant)s AND state = 'pending' AND action = %(action)s
   AND campaign_id IS NOT DISTINCT FROM %(campaign_id)s::uuid
   AND contact_id IS NOT DISTINCT FROM %(contact_id)s::uuid;

-- name: claim
-- One UPDATE decides: of two approvers the second finds no pending row.
UPDATE approvals
   SET state = %(state)s, decided_by = %(decided_by)s, decided_via = %(decided_via)s, decided_at = %(at)s
 WHERE tenant_id = %(tenant)s AND approval_id = %(id)s AND state = 'pending' AND expires_at > %(at)s
RETURNING *;

-- name: close
UPDATE approvals SET state = %(state)s, decided_at = %(at)s
 WHERE tenant_id = %(tenant)s AND approval_id = %(id)s AND state = 'pending';

-- name: withdraw_of_campaign
UPDATE approvals SET state = 'withdrawn', decided_at = %(at)s
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'pending';

-- name: find
-- By id, or by the beginning of it that people type.
SELECT * FROM approvals
 WHERE tenant_id = %(tenant)s AND approval_id::text LIKE %(beginning)s || '%%'
 ORDER BY requested_at DESC LIMIT 2;

-- name: pending
SELECT * FROM approvals
 WHERE tenant_id = %(tenant)s AND state = 'pending' AND expires_at > %(at)s
 ORDER BY requested_at LIMIT 100;

-- name: page
-- Newest first, those after the given row. An open one whose time is over counts as expired.
SELECT tenant_id, approval_id, action, campaign_id, contact_id, arguments, fingerprint, recipient_count, card,
       CASE WHEN state = 'pending' AND expires_at <= %(at)s THEN 'expired' ELSE state END AS state,
       requested_by, requested_via, requested_at, expires_at, decided_by, decided_via, decided_at
  FROM approvals
 WHERE tenant_id = %(tenant)s
   AND (%(state)s::text IS NULL
        OR %(state)s = CASE WHEN state = 'pending' AND expires_at <= %(at)s THEN 'expired' ELSE state END)
   AND (%(after_at)s::timestamptz IS NULL OR (requested_at, approval_id) < (%(after_at)s, %(after_id)s::uuid))
 ORDER BY requested_at DESC, approval_id DESC
 LIMIT %(limit)s;

-- name: over
-- Those that can't be decided any more, last ones first; one that nobody decided counts from its expiry.
SELECT * FROM approvals
 WHERE tenant_id = %(tenant)s AND (state <> 'pending' OR expires_at <= %(at)s)
 ORDER BY coalesce(decided_at, expires_at) DESC LIMIT %(limit)s;
