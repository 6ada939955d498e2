-- name: add
INSERT INTO workspaces (tenant_id, workspace_id, kind, name, members_role, token_hashes, is_signed, answers_to,
                        created_by, created_at)
VALUES (%(tenant)s, %(id)s, %(kind)s, %(name)s, %(members_role)s, %(token_hashes)s, %(is_signed)s, %(answers_to)s,
        %(created_by)s, %(at)s)
ON CONFLICT DO NOTHING
RETURNING workspace_id;

-- name: find
SELECT workspace_id, kind, name, members_role, token_hashes, is_signed, answers_to, created_by, created_at
  FROM workspaces WHERE tenant_id = %(tenant)s AND workspace_id = %(id)s;

-- name: all
SELECT workspace_id, kind, name, members_role, token_hashes, is_signed, answers_to, created_by, created_at
  FROM workspaces WHERE tenant_id = %(tenant)s ORDER BY created_at, workspace_id;

-- name: set_members_role
UPDATE workspaces SET members_role = %(members_role)s WHERE tenant_id = %(tenant)s AND workspace_id = %(id)s;

-- name: set_tokens
UPDATE workspaces SET token_hashes = %(token_hashes)s WHERE tenant_id = %(tenant)s AND workspace_id = %(id)s;

-- name: remove
-- With its people and what was heard in it.
DELETE FROM workspaces WHERE tenant_id = %(tenant)s AND workspace_id = %(id)s RETURNING workspace_id;

-- name: allow
INSERT INTO workspace_people (tenant_id, workspace_id, person_id, name, role, added_by, added_at)
VALUES (%(tenant)s, %(id)s, %(person)s, %(name)s, %(role)s, %(added_by)s, %(at)s)
ON CONFLICT (tenant_id, workspace_id, person_id) DO UPDATE
   SET name = excluded.name, role = excluded.role, added_by = excluded.added_by, added_at = excluded.added_at;

-- name: disallow
DELETE FROM workspace_people
 WHERE tenant_id = %(tenant)s AND workspace_id = %(id)s AND person_id = %(person)s
RETURNING person_id;

-- name: person
SELECT person_id, name, role, added_by, added_at
  FROM workspace_people WHERE tenant_id = %(tenant)s AND workspace_id = %(id)s AND person_id = %(person)s;

-- name: people
SELECT person_id, name, role, added_by, added_at
  FROM workspace_people WHERE tenant_id = %(tenant)s AND workspace_id = %(id)s ORDER BY added_at, person_id;
