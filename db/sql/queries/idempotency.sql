-- name: begin
-- The first one with a key gets it. So does whoever comes when the one that had it has died before it wrote anything,
-- or when its time is over.
INSERT INTO idempotency_keys AS k
       (tenant_id, caller, key_hash, request_hash, owner, running_until, created_at, expires_at)
VALUES (%(tenant)s, %(caller)s, %(key_hash)s, %(request_hash)s, %(owner)s,
        clock_timestamp() + make_interval(secs => %(seconds)s), %(at)s, %(expires_at)s)
ON CONFLICT (tenant_id, caller, key_hash) DO UPDATE
   SET request_hash = excluded.request_hash, owner = excluded.owner, running_until = excluded.running_until,
       acted = false, status = NULL, answer = NULL, created_at = excluded.created_at, expires_at = excluded.expires_at
 WHERE k.tenant_id = %(tenant)s
   AND (k.expires_at <= %(at)s
        OR (k.status IS NULL AND NOT k.acted AND k.request_hash = excluded.request_hash
            AND k.running_until < clock_timestamp()))
RETURNING k.owner;

-- name: find
SELECT request_hash, acted, status, answer, running_until < clock_timestamp() AS is_stale
  FROM idempotency_keys
 WHERE tenant_id = %(tenant)s AND caller = %(caller)s AND key_hash = %(key_hash)s;

-- name: acted
-- In the transaction of the write. Nothing is found when another request has taken the key over meanwhile.
UPDATE idempotency_keys SET acted = true
 WHERE tenant_id = %(tenant)s AND caller = %(caller)s AND key_hash = %(key_hash)s AND owner = %(owner)s
RETURNING owner;

-- name: finish
UPDATE idempotency_keys SET status = %(status)s, answer = %(answer)s, running_until = NULL
 WHERE tenant_id = %(tenant)s AND caller = %(caller)s AND key_hash = %(key_hash)s AND owner = %(owner)s;

-- name: release
-- What was refused did nothing, so its key is free again.
DELETE FROM idempotency_keys
 WHERE tenant_id = %(tenant)s AND caller = %(caller)s AND key_hash = %(key_hash)s AND owner = %(owner)s
   AND NOT acted;

-- name: renew
UPDATE idempotency_keys SET running_until = clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE tenant_id = %(tenant)s AND caller = %(caller)s AND key_hash = %(key_hash)s AND owner = %(owner)s;

-- name: expire
DELETE FROM idempotency_keys WHERE tenant_id = %(tenant)s AND expires_at <= %(at)s;

-- name: forget_answers
-- An answer may name somebody who is being erased. That it was done stays known.
UPDATE idempotency_keys SET answer = NULL WHERE tenant_id = %(tenant)s AND answer IS NOT NULL;
