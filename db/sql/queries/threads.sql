-- name: newest
-- Conversations in which something was said, by the sentence they began with.
SELECT c.conversation_id, c.name, c.turn, c.updated_at, m.text AS began
  FROM conversations c
  JOIN messages m ON m.tenant_id = %(tenant)s AND m.conversation_id = c.conversation_id AND m.turn = 1 AND m.place = 0
 WHERE c.tenant_id = %(tenant)s AND c.actor = %(actor)s
 ORDER BY c.updated_at DESC, c.conversation_id
 LIMIT %(limit)s;

-- name: latest
-- The last turns, whole.
SELECT turn, place, role, text, created_at
  FROM messages
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s
   AND turn > (SELECT c.turn - %(turns)s FROM conversations c
                WHERE c.tenant_id = %(tenant)s AND c.conversation_id = %(id)s)
 ORDER BY turn, place;
