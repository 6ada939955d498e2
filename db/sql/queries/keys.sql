-- name: add
INSERT INTO api_keys (tenant_id, key_id, name, role, key_hash, created_by, created_at, expires_at)
VALUES (%(tenant)s, %(id)s, %(name)s, %(role)s, %(key_hash)s, %(created_by)s, %(at)s, %(expires_at)s)
ON CONFLICT (tenant_id, lower(name)) WHERE revoked_at IS NULL DO NOTHING
RETURNING key_id;

-- name: find
SELECT key_id, name, role, key_hash, created_by, created_at, expires_at, revoked_at, last_used_at
  FROM api_keys WHERE tenant_id = %(tenant)s AND key_id = %(id)s;

-- name: find_with_tenant
-- At every request, so in one round trip. Whether the key's text is right is compared by the program, in constant time.
SELECT k.key_id, k.name, k.role, k.key_hash, k.created_by, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
       t.name AS tenant_name, t.time_zone, t.country
  FROM api_keys k
  JOIN tenants t ON t.id = %(tenant)s
 WHERE k.tenant_id = %(tenant)s AND k.key_id = %(id)s;

-- name: all
SELECT key_id, name, role, key_hash, created_by, created_at, expires_at, revoked_at, last_used_at
  FROM api_keys WHERE tenant_id = %(tenant)s ORDER BY created_at, key_id;

-- name: any
-- Also those that were ended: a door that was locked once stays locked.
SELECT 1 FROM api_keys WHERE tenant_id = %(tenant)s LIMIT 1;

-- name: usable
SELECT 1 FROM api_keys
 WHERE tenant_id = %(tenant)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(at)s) LIMIT 1;

-- name: revoke
UPDATE api_keys SET revoked_at = %(at)s WHERE tenant_id = %(tenant)s AND key_id = %(id)s AND revoked_at IS NULL
RETURNING key_id;

-- name: used
-- To the minute: a busy key must not cost a write a request.
UPDATE api_keys SET last_used_at = %(at)s
 WHERE tenant_id = %(tenant)s AND key_id = %(id)s
   AND (last_used_at IS NULL OR last_used_at < %(at)s::timestamptz - interval '1 minute');
