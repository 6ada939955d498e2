-- The whole schema of the product: contacts, campaigns, mails, the ledger of sends, events, approvals, conversations.
--
-- Rules that a test holds against the catalog (tests/db/test_catalog.py):
--   tenant_id leads every key, unique index and foreign key; no sequences; no key across tenants: the schema
--   distributes on Citus and moves to Nile or a managed Postgres unchanged;
--   row-level security is enabled and forced on every table with a tenant_id;
--   times are timestamptz.

CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS unaccent;

-- The program works as this role, which owns nothing and is no superuser (db/pool.py). Roles belong to the whole
-- server, so a second database of the same server finds it there.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'smartcampaign_app') THEN
        CREATE ROLE smartcampaign_app NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this server was migrated at the same moment
END $$;
GRANT smartcampaign_app TO CURRENT_USER;

-- The tenant of the transaction; NULL (and so no rows) when none is set. After a transaction the setting is ''.
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.tenant_id', true), '')::uuid;

-- The one global table. The program sees its own row; listing all is for the owner (`smartcampaign tenants`).
CREATE TABLE tenants (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name         text NOT NULL CHECK (name = btrim(name) AND length(name) BETWEEN 1 AND 100),
    time_zone    text NOT NULL DEFAULT 'UTC',
    country      text NOT NULL DEFAULT 'US' CHECK (country ~ '^[A-Z]{2}$'),
    sender_name  text,
    sender_email text,
    send_cap     int NOT NULL DEFAULT 10000 CHECK (send_cap >= 0),
    daily_cap    int NOT NULL DEFAULT 50000 CHECK (daily_cap >= 0),
    halted_at    timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX tenants_name ON tenants (lower(name));

-- array_to_string is only STABLE in the catalog (it can take any type); for text it never changes.
CREATE FUNCTION words_of(tags text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN array_to_string(tags, ' ');

CREATE TABLE contacts (
    tenant_id        uuid NOT NULL REFERENCES tenants (id),
    contact_id       uuid NOT NULL DEFAULT gen_random_uuid(),
    email            varchar(255) NOT NULL,
    first_name       varchar(100),
    last_name        varchar(100),
    phone_number     varchar(20),
    description      text,
    status           text NOT NULL DEFAULT 'subscribed'
                     CHECK (status IN ('subscribed', 'unconfirmed', 'unsubscribed', 'bounced', 'complained')),
    tags             text[] NOT NULL DEFAULT '{}',
    attributes       jsonb NOT NULL DEFAULT '{}',
    time_zone        text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    -- 768 places, shorter vectors padded with zeros (cosine unchanged); half precision keeps rows small.
    vector_embedding halfvec(768),
    embedding_model  text,
    -- 'simple': notes come in many languages, and names and codes must not be stemmed.
    search           tsvector GENERATED ALWAYS AS (
                         setweight(to_tsvector('simple', coalesce(first_name, '') || ' ' || coalesce(last_name, '')), 'A')
                         || setweight(to_tsvector('simple', email || ' ' || words_of(tags)), 'B')
                         || setweight(to_tsvector('simple', coalesce(description, '')), 'C')) STORED,
    PRIMARY KEY (tenant_id, contact_id),
    CHECK ((vector_embedding IS NULL) = (embedding_model IS NULL))
);
CREATE UNIQUE INDEX contacts_email ON contacts (tenant_id, lower(email));
CREATE INDEX contacts_newest ON contacts (tenant_id, created_at DESC, contact_id);
CREATE INDEX contacts_search ON contacts USING gin (search);
CREATE INDEX contacts_tags ON contacts USING gin (tags);

CREATE TABLE campaigns (
    tenant_id        uuid NOT NULL REFERENCES tenants (id),
    campaign_id      uuid NOT NULL DEFAULT gen_random_uuid(),
    name             varchar(255) NOT NULL,
    description      text,
    start_date       date,
    status           varchar(50) NOT NULL DEFAULT 'draft' CHECK (status IN (
                         'draft', 'scheduled', 'sending', 'sent', 'completed', 'paused', 'cancelled', 'failed')),
    send_at          timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    vector_embedding halfvec(768),
    embedding_model  text,
    PRIMARY KEY (tenant_id, campaign_id),
    CHECK ((vector_embedding IS NULL) = (embedding_model IS NULL))
);
-- A name is how people speak of a campaign, so it names one; a cancelled campaign gives its name free.
CREATE UNIQUE INDEX campaigns_name ON campaigns (tenant_id, lower(name)) WHERE status <> 'cancelled';
CREATE INDEX campaigns_newest ON campaigns (tenant_id, created_at DESC, campaign_id);
CREATE INDEX campaigns_due ON campaigns (tenant_id, send_at) WHERE status IN ('scheduled', 'sending');

CREATE TABLE campaign_contacts (
    tenant_id   uuid NOT NULL REFERENCES tenants (id),
    campaign_id uuid NOT NULL,
    contact_id  uuid NOT NULL,
    added_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, campaign_id, contact_id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, campaign_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts (tenant_id, contact_id) ON DELETE CASCADE
);
CREATE INDEX campaign_contacts_contact ON campaign_contacts (tenant_id, contact_id);

-- A campaign's mails: the template (contact_id NULL, variant 'a'), its variants, and drafts for single contacts.
CREATE TABLE campaign_emails (
    tenant_id        uuid NOT NULL REFERENCES tenants (id),
    campaign_id      uuid NOT NULL,
    email_id         uuid NOT NULL DEFAULT gen_random_uuid(),
    contact_id       uuid,
    variant          text NOT NULL DEFAULT 'a' CHECK (variant ~ '^[a-z]$'),
    subject          varchar(255) NOT NULL DEFAULT '',
    body             text NOT NULL DEFAULT '',
    -- What wrote it (prompt fingerprint and model, or 'written form'), and what in it is backed by no known fact.
    written_by       text NOT NULL DEFAULT 'person',
    unknown_claims   text[] NOT NULL DEFAULT '{}',
    sent_date        timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    vector_embedding halfvec(768),
    embedding_model  text,
    PRIMARY KEY (tenant_id, campaign_id, email_id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, campaign_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, contact_id) REFERENCES contacts (tenant_id, contact_id) ON DELETE CASCADE,
    CHECK ((vector_embedding IS NULL) = (embedding_model IS NULL))
);
CREATE UNIQUE INDEX campaign_emails_template ON campaign_emails (tenant_id, campaign_id, variant)
    WHERE contact_id IS NULL;
CREATE UNIQUE INDEX campaign_emails_draft ON campaign_emails (tenant_id, campaign_id, contact_id, variant)
    WHERE contact_id IS NOT NULL;
CREATE INDEX campaign_emails_contact ON campaign_emails (tenant_id, contact_id) WHERE contact_id IS NOT NULL;

-- One row a campaign and hour; a campaign's totals are sums. People are counted in the hour of their first open,
-- click or conversion, so that the sums count people. Human and unknown count as people; machines apart.
CREATE TABLE campaign_analytics (
    tenant_id           uuid NOT NULL REFERENCES tenants (id),
    campaign_id         uuid NOT NULL,
    analytics_id        uuid NOT NULL DEFAULT gen_random_uuid(),
    hour                timestamptz NOT NULL CHECK (hour = date_trunc('hour', hour, 'UTC')),
    email_sent_count    int NOT NULL DEFAULT 0,
    email_opened_count  int NOT NULL DEFAULT 0,
    link_clicked_count  int NOT NULL DEFAULT 0,
    total_click_count   int NOT NULL DEFAULT 0,
    conversions         int NOT NULL DEFAULT 0,
    machine_open_count  int NOT NULL DEFAULT 0,
    machine_click_count int NOT NULL DEFAULT 0,
    bounce_count        int NOT NULL DEFAULT 0,
    complaint_count     int NOT NULL DEFAULT 0,
    unsubscribe_count   int NOT NULL DEFAULT 0,
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, campaign_id, analytics_id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, campaign_id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX campaign_analytics_hour ON campaign_analytics (tenant_id, campaign_id, hour);

-- The ledger: who gets this campaign, and what became of it. It outlives its contacts: after an erasure the
-- contact_id points nowhere and the address is blank, and the campaign's numbers stay true.
CREATE TABLE deliveries (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    campaign_id     uuid NOT NULL,
    contact_id      uuid NOT NULL,
    email_id        uuid,
    variant         text NOT NULL DEFAULT 'a',
    address         text NOT NULL,
    state           text NOT NULL DEFAULT 'ready' CHECK (state IN (
                        'ready', 'leased', 'sending', 'sent', 'failed', 'skipped', 'unknown')),
    reason          text,
    message_id      text,
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_owner     text,
    lease_until     timestamptz,
    smtp_code       int,
    smtp_answer     text,
    sent_at         timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, campaign_id, contact_id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, campaign_id)
);
CREATE INDEX deliveries_ready ON deliveries (tenant_id, campaign_id, next_attempt_at) WHERE state = 'ready';
CREATE INDEX deliveries_leased ON deliveries (tenant_id, lease_until) WHERE state IN ('leased', 'sending');
CREATE INDEX deliveries_contact ON deliveries (tenant_id, contact_id, sent_at);

-- What came back. Rows are only added; the class and its reason may be worked out again.
CREATE TABLE events (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    campaign_id     uuid NOT NULL,
    event_id        uuid NOT NULL DEFAULT gen_random_uuid(),
    contact_id      uuid,
    kind            text NOT NULL CHECK (kind IN (
                        'open', 'click', 'conversion', 'bounce', 'complaint', 'unsubscribe')),
    at              timestamptz NOT NULL DEFAULT now(),
    class           text NOT NULL DEFAULT 'unknown' CHECK (class IN ('human', 'machine', 'unknown')),
    reason          text,
    classified_at   timestamptz,
    url             text,
    value           numeric(14, 2),
    user_agent      text,
    idempotency_key text,
    details         jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, campaign_id, event_id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, campaign_id)
);
CREATE UNIQUE INDEX events_once ON events (tenant_id, campaign_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX events_campaign ON events (tenant_id, campaign_id, kind, at);
CREATE INDEX events_contact ON events (tenant_id, contact_id, at);

-- What a person may allow, once: bound to a fingerprint of exactly what would happen. contact_id is no foreign key:
-- the record that an erasure was allowed outlives the contact (its card is blanked then).
CREATE TABLE approvals (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    approval_id     uuid NOT NULL DEFAULT gen_random_uuid(),
    action          text NOT NULL CHECK (action IN ('send_campaign', 'send_test_email', 'delete_contact')),
    campaign_id     uuid,
    contact_id      uuid,
    arguments       jsonb NOT NULL DEFAULT '{}',
    fingerprint     text NOT NULL,
    recipient_count int NOT NULL DEFAULT 0,
    -- json, not jsonb: a card's facts keep their order.
    card            json NOT NULL,
    state           text NOT NULL DEFAULT 'pending' CHECK (state IN (
                        'pending', 'used', 'rejected', 'withdrawn', 'expired')),
    requested_by    text NOT NULL,
    requested_via   text NOT NULL,
    requested_at    timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    decided_by      text,
    decided_via     text,
    decided_at      timestamptz,
    PRIMARY KEY (tenant_id, approval_id),
    FOREIGN KEY (tenant_id, campaign_id) REFERENCES campaigns (tenant_id, campaign_id) ON DELETE CASCADE
);
CREATE INDEX approvals_pending ON approvals (tenant_id, requested_at) WHERE state = 'pending';

-- Who must never be mailed. Only a hash: it stays after the person is erased, and names nobody.
CREATE FUNCTION suppression_hash(tenant uuid, address text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN sha256(convert_to(tenant::text || ':' || lower(address), 'UTF8'));

CREATE TABLE suppressions (
    tenant_id    uuid NOT NULL REFERENCES tenants (id),
    address_hash bytea NOT NULL,
    reason       text NOT NULL CHECK (reason IN ('unsubscribed', 'bounced', 'complained', 'erased', 'manual')),
    source       text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, address_hash)
);

-- The key's text begins with its tenant, so that it is looked up inside that tenant; only a hash is kept.
CREATE TABLE api_keys (
    tenant_id    uuid NOT NULL REFERENCES tenants (id),
    key_id       uuid NOT NULL DEFAULT gen_random_uuid(),
    name         text NOT NULL,
    role         text NOT NULL CHECK (role IN ('viewer', 'editor', 'sender', 'owner')),
    key_hash     bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, key_id)
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (tenant_id, key_hash);

-- What was done or refused, by whom, through which door. Arguments that may hold personal data are left out.
CREATE TABLE audit_log (
    tenant_id  uuid NOT NULL REFERENCES tenants (id),
    audit_id   uuid NOT NULL DEFAULT gen_random_uuid(),
    at         timestamptz NOT NULL,
    actor      text NOT NULL,
    role       text NOT NULL,
    door       text NOT NULL,
    tool       text NOT NULL,
    effect     text NOT NULL,
    outcome    text NOT NULL,
    arguments  jsonb NOT NULL DEFAULT '{}',
    subjects   uuid[] NOT NULL DEFAULT '{}',
    conversation_id uuid,
    PRIMARY KEY (tenant_id, audit_id)
);
CREATE INDEX audit_log_newest ON audit_log (tenant_id, at DESC, audit_id);

-- A conversation belongs to one person at one door. The lease lets one turn at a time work on it; it is a row and
-- not a session's lock, so it works through a pooler and ends by itself when a program dies.
CREATE TABLE conversations (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    conversation_id uuid NOT NULL DEFAULT gen_random_uuid(),
    actor           text NOT NULL,
    name            text,
    turn            int NOT NULL DEFAULT 0,
    lease_owner     uuid,
    lease_until     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, conversation_id)
);
CREATE UNIQUE INDEX conversations_name ON conversations (tenant_id, actor, name) WHERE name IS NOT NULL;
CREATE INDEX conversations_newest ON conversations (tenant_id, actor, updated_at DESC);

-- What was said, for people to read again; the model's own memory is the checkpoint.
CREATE TABLE messages (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    conversation_id uuid NOT NULL,
    turn            int NOT NULL,
    place           int NOT NULL,
    role            text NOT NULL CHECK (role IN ('person', 'agent', 'note')),
    text            text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, conversation_id, turn, place),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, conversation_id) ON DELETE CASCADE
);

-- The graph's state after the last turn: one row a conversation, replaced in one statement.
CREATE TABLE checkpoints (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    conversation_id uuid NOT NULL,
    checkpoint_id   text NOT NULL,
    kind            text NOT NULL,
    checkpoint      bytea NOT NULL,
    metadata        bytea NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, conversation_id) ON DELETE CASCADE
);

-- What a step of that state has written before the next one: a question that waits for a person's answer.
CREATE TABLE checkpoint_writes (
    tenant_id       uuid NOT NULL REFERENCES tenants (id),
    conversation_id uuid NOT NULL,
    checkpoint_id   text NOT NULL,
    task_id         text NOT NULL,
    place           int NOT NULL,
    channel         text NOT NULL,
    kind            text NOT NULL,
    value           bytea NOT NULL,
    PRIMARY KEY (tenant_id, conversation_id, checkpoint_id, task_id, place),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations (tenant_id, conversation_id) ON DELETE CASCADE
);

-- Row-level security, forced, on every table of a tenant.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'contacts', 'campaigns', 'campaign_contacts', 'campaign_emails', 'campaign_analytics', 'deliveries', 'events',
        'approvals', 'suppressions', 'api_keys', 'audit_log', 'conversations', 'messages', 'checkpoints',
        'checkpoint_writes']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON %I USING (tenant_id = current_tenant())
                        WITH CHECK (tenant_id = current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO smartcampaign_app', name);
    END LOOP;
END $$;

-- Not forced: the owner creates and lists tenants.
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_row ON tenants TO smartcampaign_app USING (id = current_tenant());
GRANT SELECT ON tenants TO smartcampaign_app;

-- Append-only, as far as the program goes: the log takes new rows; an event may be classified again, or lose its
-- personal part when a contact is erased.
REVOKE UPDATE, DELETE ON audit_log FROM smartcampaign_app;
REVOKE UPDATE, DELETE ON events FROM smartcampaign_app;
GRANT UPDATE (class, reason, classified_at, user_agent, details) ON events TO smartcampaign_app;
REVOKE DELETE ON deliveries, suppressions FROM smartcampaign_app;

-- Imports stage their rows in a temporary table (COPY is refused on tables with row-level security).
DO $$
BEGIN
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO smartcampaign_app', current_database());
END $$;
