-- name: count_for_contact
SELECT count(*) FROM deliveries WHERE tenant_id = %(tenant)s AND contact_id = %(contact_id)s AND state = 'sent';

-- name: forget_contact
-- The campaign's numbers stay true; whom the row was about is gone.
UPDATE deliveries SET address = '', smtp_answer = NULL
 WHERE tenant_id = %(tenant)s AND contact_id = %(contact_id)s;

-- name: suppress
INSERT INTO suppressions (tenant_id, address_hash, reason, source, created_at)
VALUES (%(tenant)s, suppression_hash(%(tenant)s, %(email)s), %(reason)s, %(source)s, %(at)s)
ON CONFLICT (tenant_id, address_hash) DO NOTHING;
