-- name: add
INSERT INTO captured_mails (tenant_id, campaign_id, contact_id, sender, recipient, subject, message)
SELECT %(tenant)s, m.campaign_id, m.contact_id, m.sender, m.recipient, m.subject, m.message
  FROM unnest(%(campaigns)s::uuid[], %(contacts)s::uuid[], %(senders)s::text[], %(recipients)s::text[],
              %(subjects)s::text[], %(messages)s::bytea[])
       AS m (campaign_id, contact_id, sender, recipient, subject, message);

-- name: trim
-- The newest stay; without an order that is total, rows of one moment would be kept and lost at random.
DELETE FROM captured_mails c
 USING (SELECT at, captured_id FROM captured_mails
         WHERE tenant_id = %(tenant)s ORDER BY at DESC, captured_id OFFSET %(keep)s LIMIT 1) AS last
 WHERE c.tenant_id = %(tenant)s AND (c.at < last.at OR (c.at = last.at AND c.captured_id >= last.captured_id));

-- name: newest
SELECT captured_id, sender, recipient, subject, at, length(message) AS size
  FROM captured_mails
 WHERE tenant_id = %(tenant)s
 ORDER BY at DESC, captured_id
 LIMIT %(limit)s;

-- name: find
-- By the beginning of the id that people type.
SELECT captured_id, message FROM captured_mails
 WHERE tenant_id = %(tenant)s AND captured_id::text LIKE %(beginning)s || '%%'
 LIMIT 2;

-- name: forget_contact
DELETE FROM captured_mails WHERE tenant_id = %(tenant)s AND contact_id = %(contact_id)s;

-- name: forget_address
-- Test mails went to an address that need not be a contact's.
DELETE FROM captured_mails WHERE tenant_id = %(tenant)s AND lower(recipient) = lower(%(address)s);

-- name: page
-- Newest first, those after the given row.
SELECT captured_id, sender, recipient, subject, at, length(message) AS size
  FROM captured_mails
 WHERE tenant_id = %(tenant)s
   AND (%(after_at)s::timestamptz IS NULL
        OR at < %(after_at)s OR (at = %(after_at)s AND captured_id > %(after_id)s::uuid))
 ORDER BY at DESC, captured_id
 LIMIT %(limit)s;
