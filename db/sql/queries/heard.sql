-- name: claim
-- The first one who hears a message answers it; whoever hears it again finds it taken.
INSERT INTO heard_messages (tenant_id, workspace_id, message_hash, channel, thread, answering_until, heard_at, expires_at)
VALUES (%(tenant)s, %(workspace)s, %(message)s, %(channel)s, %(thread)s,
        clock_timestamp() + make_interval(secs => %(seconds)s), %(at)s, %(expires_at)s)
ON CONFLICT (tenant_id, workspace_id, message_hash) DO NOTHING
RETURNING workspace_id;

-- name: reply
UPDATE heard_messages SET reply = %(reply)s, conversation_id = %(conversation)s
 WHERE tenant_id = %(tenant)s AND workspace_id = %(workspace)s AND message_hash = %(message)s;

-- name: renew
UPDATE heard_messages SET answering_until = clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE tenant_id = %(tenant)s AND workspace_id = %(workspace)s AND message_hash = %(message)s
   AND answering_until IS NOT NULL;

-- name: finish
UPDATE heard_messages SET answering_until = NULL
 WHERE tenant_id = %(tenant)s AND workspace_id = %(workspace)s AND message_hash = %(message)s;

-- name: left_over
-- What a program that died was answering, taken over for a while: SKIP LOCKED, since several may look at once.
UPDATE heard_messages SET answering_until = clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE tenant_id = %(tenant)s AND (workspace_id, message_hash) IN (
           SELECT h.workspace_id, h.message_hash FROM heard_messages h
            WHERE h.tenant_id = %(tenant)s AND h.workspace_id = %(workspace)s AND h.answering_until < clock_timestamp()
            ORDER BY h.answering_until LIMIT 20 FOR UPDATE SKIP LOCKED)
RETURNING message_hash, channel, thread, reply, conversation_id;

-- name: expire
DELETE FROM heard_messages WHERE tenant_id = %(tenant)s AND expires_at <= %(at)s AND answering_until IS NULL;
