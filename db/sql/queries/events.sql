-- name: forget_contact
UPDATE events SET user_agent = NULL, details = '{}'
 WHERE tenant_id = %(tenant)s AND contact_id = %(contact_id)s;
