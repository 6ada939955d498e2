-- Chats of other programs (Slack, Mattermost, Rocket.Chat) that are linked to a tenant, and who in them may do what.
--
-- A Slack workspace names no tenant: who links it looks into every tenant, one at a time and under its own policy, so
-- that no function that sees across tenants is needed. A hook's address names its tenant, as an API key does.
-- docs/decisions/0030-slack-people.md, 0031-hooks.md

CREATE TABLE workspaces (
    tenant_id    uuid NOT NULL REFERENCES tenants (id),
    -- Slack's id of the workspace (T..), or the id of a hook that was made here.
    workspace_id text NOT NULL CHECK (length(workspace_id) BETWEEN 1 AND 60),
    kind         text NOT NULL CHECK (kind IN ('slack', 'mattermost', 'rocket.chat', 'json')),
    name         text NOT NULL CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 100),
    -- What those may do who are not named in workspace_people; NULL: nothing.
    members_role text CHECK (members_role IN ('viewer', 'editor')),
    -- SHA-256 of the tokens that a hook's calls may carry.
    token_hashes bytea[] NOT NULL DEFAULT '{}',
    -- Its calls are signed, with a key that is made from SMARTCAMPAIGN_SECRET and stored nowhere.
    is_signed    boolean NOT NULL DEFAULT false,
    -- The one origin that late answers may be posted to; NULL: none.
    answers_to   text,
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, workspace_id)
);
-- The name stands behind the people's own, in the log and on approvals.
CREATE UNIQUE INDEX workspaces_name ON workspaces (tenant_id, lower(name));

CREATE TABLE workspace_people (
    tenant_id    uuid NOT NULL REFERENCES tenants (id),
    workspace_id text NOT NULL,
    person_id    text NOT NULL CHECK (length(person_id) BETWEEN 1 AND 100),
    name         text NOT NULL CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 100),
    role         text NOT NULL CHECK (role IN ('viewer', 'editor', 'sender', 'owner')),
    added_by     text NOT NULL,
    added_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, workspace_id, person_id),
    FOREIGN KEY (tenant_id, workspace_id) REFERENCES workspaces (tenant_id, workspace_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX workspace_people_name ON workspace_people (tenant_id, workspace_id, lower(name));

-- What was heard, so that it is answered once whatever is repeated, and by one program where several run. No words of
-- anybody are kept here: the place, and until when a program says that it is answering.
CREATE TABLE heard_messages (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    workspace_id    text NOT NULL,
    message_hash    bytea NOT NULL CHECK (octet_length(message_hash) = 32),
    channel         text,
    thread          text,
    -- The message in which the answer grows.
    reply           text,
    conversation_id uuid,
    answering_until timestamptz,
    heard_at        timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, workspace_id, message_hash),
    FOREIGN KEY (tenant_id, workspace_id) REFERENCES workspaces (tenant_id, workspace_id) ON DELETE CASCADE
);
CREATE INDEX heard_messages_over ON heard_messages (tenant_id, expires_at);
CREATE INDEX heard_messages_unanswered ON heard_messages (tenant_id, answering_until)
 WHERE answering_until IS NOT NULL;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['workspaces', 'workspace_people', 'heard_messages']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())
                        WITH CHECK (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO smartcampaign_app', name);
    END LOOP;
END $$;
