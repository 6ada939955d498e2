-- name: addresses
SELECT DISTINCT d.address FROM deliveries d
 WHERE d.tenant_id = %(tenant)s AND d.contact_id = %(id)s AND d.address <> ''
   AND NOT EXISTS (SELECT FROM contacts c
                    WHERE c.tenant_id = %(tenant)s AND lower(c.email) = lower(d.address) AND c.contact_id <> %(id)s);

-- name: is_anybodys
SELECT 1 FROM contacts WHERE tenant_id = %(tenant)s AND lower(email) = lower(%(email)s);

-- name: namesakes
SELECT 1
  FROM contacts me
  JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id <> me.contact_id
                 AND lower(concat_ws(' ', c.first_name, c.last_name)) = lower(concat_ws(' ', me.first_name, me.last_name))
 WHERE me.tenant_id = %(tenant)s AND me.contact_id = %(id)s
 LIMIT 1;

-- name: forget_in_history
-- The numbers stay, the person goes: a new id in each campaign, so that the rows of one campaign still belong together
-- (sent and opened by the same somebody) and those of several can't be put together again. Nothing that waits is sent:
-- the address is blank. What is in flight has an answer that nobody will note, so it is `unknown`. A link may carry an
-- address (`?email=`); then only its site stays.
WITH campaigns_of AS MATERIALIZED (
    SELECT campaign_id, gen_random_uuid() AS id
      FROM (SELECT campaign_id FROM deliveries WHERE tenant_id = %(tenant)s AND contact_id = %(id)s
            UNION
            SELECT campaign_id FROM events WHERE tenant_id = %(tenant)s AND contact_id = %(id)s) AS both_of
),
ledger AS (
    UPDATE deliveries d
       SET contact_id = k.id, address = '', smtp_answer = NULL, message_id = NULL, lease_owner = NULL,
           lease_until = NULL, email_id = NULL,
           state = CASE WHEN state IN ('ready', 'leased') THEN 'skipped' WHEN state = 'sending' THEN 'unknown'
                        ELSE state END,
           reason = CASE WHEN state IN ('ready', 'leased', 'sending') THEN 'erased' ELSE reason END
      FROM campaigns_of k
     WHERE d.tenant_id = %(tenant)s AND d.campaign_id = k.campaign_id AND d.contact_id = %(id)s
)
UPDATE events e
   SET contact_id = k.id, user_agent = NULL, details = '{}', idempotency_key = NULL,
       url = CASE WHEN e.url ~* '[^/?&=#@](@|%%40)' THEN substring(e.url from '^[a-zA-Z]+://[^/?#@]+') ELSE e.url END
  FROM campaigns_of k
 WHERE e.tenant_id = %(tenant)s AND e.campaign_id = k.campaign_id AND e.contact_id = %(id)s;

-- name: blank_tests
-- That a test was sent stays; to whom, and a text that may be theirs alone, goes. One that waits is not sent.
UPDATE test_mails
   SET contact_id = NULL, address = '', subject = '', body = '',
       state = CASE WHEN state = 'ready' THEN 'failed' ELSE state END,
       reason = CASE WHEN state = 'ready' THEN 'erased' ELSE reason END
 WHERE tenant_id = %(tenant)s AND (contact_id = %(id)s OR lower(address) = ANY (%(addresses)s::text[]));

-- name: shorten_links
UPDATE campaign_links SET url = coalesce(substring(url from '^[a-zA-Z]+://[^/?#@]+'), '')
 WHERE tenant_id = %(tenant)s AND url ILIKE ANY (%(patterns)s::text[]);

-- name: blank_approvals
-- That it was allowed to erase somebody stays on record, by an id that leads nowhere. The fingerprint is made of the
-- address.
UPDATE approvals
   SET card = '{"title": "[erased]"}', arguments = '{}', fingerprint = '',
       state = CASE WHEN state = 'pending' THEN 'withdrawn' ELSE state END,
       decided_at = coalesce(decided_at, %(at)s)
 WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: all_approvals
SELECT approval_id, card, arguments FROM approvals WHERE tenant_id = %(tenant)s;

-- name: change_approval
-- An open one is about something else now than the person who asked meant.
UPDATE approvals
   SET card = %(card)s, arguments = %(arguments)s, fingerprint = CASE WHEN state = 'pending' THEN '' ELSE fingerprint END,
       state = CASE WHEN state = 'pending' THEN 'withdrawn' ELSE state END, decided_at = coalesce(decided_at, %(at)s)
 WHERE tenant_id = %(tenant)s AND approval_id = %(id)s;

-- name: mentions
SELECT contact_id, description, attributes FROM contacts
 WHERE tenant_id = %(tenant)s AND contact_id <> %(id)s
   AND (description ILIKE ANY (%(patterns)s::text[]) OR attributes::text ILIKE ANY (%(patterns)s::text[]));

-- name: change_mention
UPDATE contacts
   SET description = %(description)s, attributes = %(attributes)s, vector_embedding = NULL, embedding_model = NULL,
       updated_at = %(at)s
 WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: campaigns_naming
SELECT c.name FROM campaigns c
 WHERE c.tenant_id = %(tenant)s
   AND (c.name ILIKE ANY (%(patterns)s::text[]) OR c.description ILIKE ANY (%(patterns)s::text[])
        OR EXISTS (SELECT FROM campaign_emails e
                    WHERE e.tenant_id = %(tenant)s AND e.campaign_id = c.campaign_id
                      AND e.contact_id IS DISTINCT FROM %(id)s::uuid
                      AND (e.subject ILIKE ANY (%(patterns)s::text[]) OR e.body ILIKE ANY (%(patterns)s::text[]))))
 ORDER BY c.created_at DESC, c.name LIMIT 10;

-- name: all_names
SELECT conversation_id, name FROM conversations WHERE tenant_id = %(tenant)s AND name IS NOT NULL;

-- name: all_messages
SELECT conversation_id, turn, place, text FROM messages WHERE tenant_id = %(tenant)s;

-- name: all_checkpoints
SELECT conversation_id, kind, checkpoint, metadata FROM checkpoints WHERE tenant_id = %(tenant)s;

-- name: all_writes
SELECT conversation_id, checkpoint_id, task_id, place, kind, value FROM checkpoint_writes
 WHERE tenant_id = %(tenant)s;

-- name: drop_name
-- A conversation without its name is not continued by it any more, and otherwise as it was.
UPDATE conversations SET name = NULL WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s;

-- name: change_message
UPDATE messages SET text = %(text)s
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND turn = %(turn)s AND place = %(place)s;

-- name: change_checkpoint
UPDATE checkpoints SET checkpoint = %(checkpoint)s, metadata = %(metadata)s
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s;

-- name: change_write
UPDATE checkpoint_writes SET value = %(value)s
 WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s AND checkpoint_id = %(checkpoint_id)s
   AND task_id = %(task_id)s AND place = %(place)s;

-- name: forget_checkpoint
DELETE FROM checkpoints WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s;

-- name: forget_writes
DELETE FROM checkpoint_writes WHERE tenant_id = %(tenant)s AND conversation_id = %(id)s;

