-- name: templates
SELECT email_id, campaign_id, contact_id, variant, subject, body, written_by, unknown_claims, sent_date
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id IS NULL
 ORDER BY variant;

-- name: draft_for
SELECT email_id, campaign_id, contact_id, variant, subject, body, written_by, unknown_claims, sent_date
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id = %(contact_id)s
 ORDER BY variant
 LIMIT 1;

-- name: all_of
-- Every mail of the campaign, in a stable order: what an approval's fingerprint covers.
SELECT email_id, campaign_id, contact_id, variant, subject, body, written_by, unknown_claims, sent_date
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s
 ORDER BY contact_id NULLS FIRST, variant;

-- name: count_drafts
SELECT count(*) FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id IS NOT NULL;

-- name: save_template
INSERT INTO campaign_emails (tenant_id, campaign_id, variant, subject, body, written_by, unknown_claims,
                             vector_embedding, embedding_model, created_at, updated_at)
VALUES (%(tenant)s, %(campaign_id)s, %(variant)s, %(subject)s, %(body)s, %(written_by)s, %(unknown_claims)s,
        %(vector)s, %(model)s, %(at)s, %(at)s)
ON CONFLICT (tenant_id, campaign_id, variant) WHERE contact_id IS NULL
DO UPDATE SET subject = excluded.subject, body = excluded.body, written_by = excluded.written_by,
              unknown_claims = excluded.unknown_claims, vector_embedding = excluded.vector_embedding,
              embedding_model = excluded.embedding_model, updated_at = excluded.updated_at
RETURNING email_id;

-- name: save_draft
INSERT INTO campaign_emails (tenant_id, campaign_id, contact_id, variant, subject, body, written_by, unknown_claims,
                             vector_embedding, embedding_model, created_at, updated_at)
VALUES (%(tenant)s, %(campaign_id)s, %(contact_id)s, %(variant)s, %(subject)s, %(body)s, %(written_by)s,
        %(unknown_claims)s, %(vector)s, %(model)s, %(at)s, %(at)s)
ON CONFLICT (tenant_id, campaign_id, contact_id, variant) WHERE contact_id IS NOT NULL
DO UPDATE SET subject = excluded.subject, body = excluded.body, written_by = excluded.written_by,
              unknown_claims = excluded.unknown_claims, vector_embedding = excluded.vector_embedding,
              embedding_model = excluded.embedding_model, updated_at = excluded.updated_at
RETURNING email_id;
