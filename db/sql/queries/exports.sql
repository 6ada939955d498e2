-- name: contacts
-- Whole rows for a file, read through a cursor. By address: two exports of the same people can be compared line by
-- line. A suppression goes along, because a status alone does not tell it (a bounce is noted before the contact is).
SELECT c.contact_id, c.email, c.first_name, c.last_name, c.phone_number, c.description, c.status, c.tags, c.attributes,
       c.time_zone, c.created_at, c.updated_at, s.reason AS suppressed
  FROM contacts c
  LEFT JOIN suppressions s ON s.tenant_id = %(tenant)s AND s.address_hash = suppression_hash(%(tenant)s, c.email)
 WHERE c.tenant_id = %(tenant)s
   AND (%(ids)s::uuid[] IS NULL OR c.contact_id = ANY (%(ids)s::uuid[]))
   AND (%(status)s::text IS NULL OR c.status = %(status)s)
   AND (%(tags)s::text[] IS NULL OR c.tags @> %(tags)s::text[])
   AND (%(campaign)s::uuid IS NULL OR EXISTS (
            SELECT FROM campaign_contacts m
             WHERE m.tenant_id = %(tenant)s AND m.campaign_id = %(campaign)s::uuid AND m.contact_id = c.contact_id))
 ORDER BY lower(c.email);

-- name: campaign_ids
SELECT campaign_id FROM campaigns WHERE tenant_id = %(tenant)s ORDER BY created_at, campaign_id;

-- name: recipients
-- One row a person of a campaign: who is in it, whom it was sent to, and whoever did something with it (a forwarded
-- mail is opened by somebody whom the ledger does not know). Opens, clicks and conversions are people's, as in
-- analytics.totals; the columns' sums are its figures, save events of nobody in particular.
WITH people AS (
    SELECT contact_id FROM deliveries WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s
    UNION
    SELECT contact_id FROM campaign_contacts WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s
    UNION
    SELECT contact_id FROM events
     WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s AND contact_id IS NOT NULL
),
did AS (
    SELECT contact_id,
           min(at) FILTER (WHERE kind = 'open' AND class <> 'machine') AS first_open_at,
           count(*) FILTER (WHERE kind = 'open' AND class <> 'machine') AS opens,
           count(*) FILTER (WHERE kind = 'open' AND class = 'machine') AS machine_opens,
           min(at) FILTER (WHERE kind = 'click' AND class <> 'machine') AS first_click_at,
           count(*) FILTER (WHERE kind = 'click' AND class <> 'machine') AS clicks,
           count(*) FILTER (WHERE kind = 'click' AND class = 'machine') AS machine_clicks,
           count(*) FILTER (WHERE kind = 'conversion' AND class <> 'machine') AS conversions,
           sum(value) FILTER (WHERE kind = 'conversion' AND class <> 'machine') AS conversion_value,
           min(at) FILTER (WHERE kind = 'bounce') AS bounced_at,
           min(at) FILTER (WHERE kind = 'unsubscribe') AS unsubscribed_at,
           min(at) FILTER (WHERE kind = 'complaint') AS complained_at
      FROM events
     WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s AND contact_id IS NOT NULL
     GROUP BY contact_id
)
SELECT p.contact_id, coalesce(nullif(d.address, ''), c.email, '') AS address, c.first_name, c.last_name, d.variant,
       coalesce(d.state, 'not sent') AS state, d.reason, d.sent_at, e.first_open_at, coalesce(e.opens, 0) AS opens,
       coalesce(e.machine_opens, 0) AS machine_opens, e.first_click_at, coalesce(e.clicks, 0) AS clicks,
       coalesce(e.machine_clicks, 0) AS machine_clicks, coalesce(e.conversions, 0) AS conversions,
       coalesce(e.conversion_value, 0) AS conversion_value, e.bounced_at, e.unsubscribed_at, e.complained_at
  FROM people p
  LEFT JOIN deliveries d ON d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign)s AND d.contact_id = p.contact_id
  LEFT JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id = p.contact_id
  LEFT JOIN did e ON e.contact_id = p.contact_id
 ORDER BY lower(coalesce(nullif(d.address, ''), c.email, '')), p.contact_id;

-- name: person
-- The whole row of one contact, with the vector that was computed from the note.
SELECT contact_id, email, first_name, last_name, phone_number, description, status, tags, attributes, time_zone,
       created_at, updated_at, embedding_model, vector_embedding
  FROM contacts WHERE tenant_id = %(tenant)s AND contact_id = %(id)s;

-- name: person_suppression
SELECT reason, source, created_at AS since FROM suppressions
 WHERE tenant_id = %(tenant)s AND address_hash = suppression_hash(%(tenant)s, %(email)s);

-- name: person_campaigns
SELECT c.name AS campaign, m.added_at
  FROM campaign_contacts m
  JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = m.campaign_id
 WHERE m.tenant_id = %(tenant)s AND m.contact_id = %(id)s
 ORDER BY m.added_at, c.name;

-- name: person_drafts
SELECT c.name AS campaign, e.variant, e.subject, e.body, e.written_by, e.created_at, e.updated_at
  FROM campaign_emails e
  JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = e.campaign_id
 WHERE e.tenant_id = %(tenant)s AND e.contact_id = %(id)s
 ORDER BY e.created_at, c.name;

-- name: person_mails
SELECT c.name AS campaign, d.address, d.variant, d.state, d.reason, d.message_id, d.attempts, d.smtp_code,
       d.smtp_answer, d.sent_at, d.created_at
  FROM deliveries d
  JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = d.campaign_id
 WHERE d.tenant_id = %(tenant)s AND d.contact_id = %(id)s
 ORDER BY d.created_at, c.name;

-- name: person_tests
SELECT c.name AS campaign, t.address, t.subject, t.body, t.state, t.created_at, t.sent_at
  FROM test_mails t
  JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = t.campaign_id
 WHERE t.tenant_id = %(tenant)s AND (t.contact_id = %(id)s OR lower(t.address) = lower(%(email)s))
 ORDER BY t.created_at, c.name;

-- name: person_captured
SELECT recipient, subject, convert_from(message, 'LATIN1') AS message, at FROM captured_mails
 WHERE tenant_id = %(tenant)s AND (contact_id = %(id)s OR lower(recipient) = lower(%(email)s))
 ORDER BY at;

-- name: person_events
SELECT c.name AS campaign, e.kind, e.at, e.class, e.reason, e.url, e.value, e.user_agent, e.idempotency_key, e.details
  FROM events e
  JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = e.campaign_id
 WHERE e.tenant_id = %(tenant)s AND e.contact_id = %(id)s
 ORDER BY e.at, e.event_id;

-- name: person_approvals
-- All of them: which name the person is for the program to see.
SELECT action, state, contact_id, card, arguments, requested_via, requested_at, decided_via, decided_at
  FROM approvals WHERE tenant_id = %(tenant)s
 ORDER BY requested_at;

-- name: person_audit
-- Without the names of those who did it: they are persons too.
SELECT at, door, tool, effect, outcome, arguments FROM audit_log
 WHERE tenant_id = %(tenant)s AND subjects @> ARRAY[%(id)s::uuid]
 ORDER BY at;

-- name: states
-- What the agent remembers, with the questions that wait for an answer.
SELECT conversation_id, kind, checkpoint FROM checkpoints WHERE tenant_id = %(tenant)s
UNION ALL
SELECT conversation_id, kind, value FROM checkpoint_writes WHERE tenant_id = %(tenant)s;
