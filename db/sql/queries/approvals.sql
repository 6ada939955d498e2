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
