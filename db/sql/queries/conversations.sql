-- name: add
INSERT INTO conversations (tenant_id, conversation_id, actor, name, created_at, updated_at)
VALUES (%(tenant)s, %(id)s, %(actor)s, %(name)s, %(at)s, %(at)s)
ON CONFLICT (tenant_id, actor, name) WHERE name IS NOT NULL DO NOTHING;

-- name: by_name
SELECT conversation_id FROM conversations
 WHERE tenant_id = %(tenant)s AND actor = %(actor)s AND name = %(name)s;

-- name: lease
-- One turn at a time: taken if free, if its time is up (its program died), or if it is ours already. The clock is the
-- database's, since the programs may run on several machines.
UPDATE conversations
   SET lease_owner = %(owner)s, lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND actor = %(actor)s
   AND (lease_owner IS NULL OR lease_owner = %(owner)s OR lease_until < clock_timestamp())
RETURNING turn;

-- name: enter
-- Turns share this lock for as long as it takes to get a lease, and an erasure has it alone (hold_turns): nobody begins
-- to read what is being erased. Its key is made of the tenant_id.
SELECT pg_advisory_xact_lock_shared(hashtextextended('turns of ' || %(tenant)s::uuid::text, 0));

-- name: hold_turns
-- Waits for whoever is getting a lease; its key is made of the tenant_id, as in enter.
SELECT pg_advisory_xact_lock(hashtextextended('turns of ' || %(tenant)s::uuid::text, 0));

-- name: break_leases
-- Turns that are under way have read what is being erased: without a lease they can't write it back.
UPDATE conversations SET lease_owner = NULL, lease_until = NULL
 WHERE tenant_id = %(tenant)s AND lease_owner IS NOT NULL;

-- name: renew
-- Only what is still ours: a lease that was broken or taken over stays lost.
UPDATE conversations SET lease_until = clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND lease_owner = %(owner)s
RETURNING turn;

-- name: is_leased
-- Locked until the transaction's end, so that a lease is not broken between this look and the writes after it.
SELECT 1 FROM conversations
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND lease_owner = %(owner)s
   FOR SHARE;

-- name: exists
SELECT 1 FROM conversations WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND actor = %(actor)s;

-- name: release
UPDATE conversations SET lease_owner = NULL, lease_until = NULL
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND lease_owner = %(owner)s;

-- name: begin_turn
UPDATE conversations SET turn = turn + 1, updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s
RETURNING turn;

-- name: say
INSERT INTO messages (tenant_id, conversation_id, turn, place, role, text, created_at)
SELECT %(tenant)s, %(id)s, %(turn)s, coalesce(max(place) + 1, 0), %(role)s, %(text)s, %(at)s
  FROM messages WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND turn = %(turn)s;

-- name: say_now
INSERT INTO messages (tenant_id, conversation_id, turn, place, role, text, created_at)
SELECT %(tenant)s, c.conversation_id, c.turn,
       coalesce((SELECT max(m.place) + 1 FROM messages m
                  WHERE m.tenant_id = %(tenant)s AND m.conversation_id = c.conversation_id AND m.turn = c.turn), 0),
       %(role)s, %(text)s, %(at)s
  FROM conversations c WHERE c.tenant_id = %(tenant)s AND c.conversation_id = %(id)s;

-- name: history
SELECT role, text FROM (
    SELECT role, text, turn, place FROM messages
     WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s
     ORDER BY turn DESC, place DESC LIMIT %(limit)s) AS last
 ORDER BY turn, place;

-- name: unanswered
-- The last turn, if it has no end: its program was stopped in the middle.
SELECT m.text, m.created_at FROM conversations c
  JOIN messages m ON m.tenant_id = %(tenant)s AND m.conversation_id = c.conversation_id AND m.turn = c.turn
 WHERE c.tenant_id = %(tenant)s AND c.conversation_id = %(id)s AND m.role = 'person'
   AND NOT EXISTS (SELECT FROM messages a WHERE a.tenant_id = %(tenant)s AND a.conversation_id = c.conversation_id
                      AND a.turn = c.turn AND a.role <> 'person')
 ORDER BY m.place LIMIT 1;

-- name: done_since
SELECT tool FROM audit_log
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND outcome = 'done' AND at >= %(since)s
 ORDER BY at LIMIT 50;

-- name: save_checkpoint
INSERT INTO checkpoints (tenant_id, conversation_id, checkpoint_id, kind, checkpoint, metadata)
VALUES (%(tenant)s, %(id)s, %(checkpoint_id)s, %(kind)s, %(checkpoint)s, %(metadata)s)
ON CONFLICT (tenant_id, conversation_id)
DO UPDATE SET checkpoint_id = excluded.checkpoint_id, kind = excluded.kind, checkpoint = excluded.checkpoint,
              metadata = excluded.metadata;

-- name: drop_old_writes
DELETE FROM checkpoint_writes
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND checkpoint_id <> %(checkpoint_id)s;

-- name: save_write
INSERT INTO checkpoint_writes (tenant_id, conversation_id, checkpoint_id, task_id, place, channel, kind, value)
VALUES (%(tenant)s, %(id)s, %(checkpoint_id)s, %(task_id)s, %(place)s, %(channel)s, %(kind)s, %(value)s)
ON CONFLICT (tenant_id, conversation_id, checkpoint_id, task_id, place)
DO UPDATE SET channel = excluded.channel, kind = excluded.kind, value = excluded.value;

-- name: checkpoint
SELECT checkpoint_id, kind, checkpoint, metadata FROM checkpoints
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s;

-- name: writes
SELECT task_id, channel, kind, value FROM checkpoint_writes
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND checkpoint_id = %(checkpoint_id)s
 ORDER BY task_id, place;

-- name: forget
DELETE FROM conversations WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s;

-- name: saying
-- For a person who asks what is known about them: each message with when and where it was said.
SELECT m.conversation_id, c.name, c.created_at AS begun_at, m.role, m.text, m.created_at
  FROM messages m
  JOIN conversations c ON c.tenant_id = %(tenant)s AND c.conversation_id = m.conversation_id
 WHERE m.tenant_id = %(tenant)s
 ORDER BY c.created_at, m.conversation_id, m.turn, m.place;

-- name: page
-- The actor's own, the one that was begun last first: an order that talking does not change.
SELECT conversation_id, name, turn AS turns, created_at, updated_at, lease_until > clock_timestamp() AS is_busy
  FROM conversations
 WHERE tenant_id = %(tenant)s AND actor = %(actor)s
   AND (%(after_at)s::timestamptz IS NULL OR (created_at, conversation_id) < (%(after_at)s, %(after_id)s::uuid))
 ORDER BY created_at DESC, conversation_id DESC
 LIMIT %(limit)s;

-- name: one
SELECT conversation_id, name, turn AS turns, created_at, updated_at, lease_until > clock_timestamp() AS is_busy
  FROM conversations WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND actor = %(actor)s;

-- name: messages
-- From the oldest on, those after the given place.
SELECT turn, place, role, text, created_at FROM messages
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s
   AND (turn, place) > (%(after_turn)s, %(after_place)s)
 ORDER BY turn, place
 LIMIT %(limit)s;

-- name: rename
UPDATE conversations SET name = %(name)s WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND actor = %(actor)s
   AND NOT EXISTS (SELECT FROM conversations o WHERE o.tenant_id = %(tenant)s AND o.actor = %(actor)s
                      AND o.name = %(name)s);
