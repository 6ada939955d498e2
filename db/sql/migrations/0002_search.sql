-- Search: words without accents, and indexes that row-level security lets it use.

-- As 'simple' (notes come in many languages; names and codes must not be stemmed), without accents.
CREATE TEXT SEARCH CONFIGURATION folded (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION folded ALTER MAPPING FOR hword, hword_part, word WITH unaccent, simple;

-- Small letters without accents, as names are compared. unaccent is only STABLE in the catalog because its rules are a
-- file; they never change here.
CREATE FUNCTION folded(given text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN lower(unaccent('unaccent'::regdictionary, given));

CREATE FUNCTION name_of(first_name text, last_name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN folded(btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')));

-- A word of a question as it is looked up: to the letter, or (with a stem) whatever begins with it.
CREATE FUNCTION forms_of(word text, stem text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN stem IS NULL THEN phraseto_tsquery('folded', word)
                ELSE phraseto_tsquery('folded', word) || to_tsquery('folded', stem || ':*') END;

-- Small tenants are searched row by row, which takes milliseconds; large ones get indexes of their own
-- (db/indexes.py). One index over the words or tags of all tenants served neither, and slowed every import.
DROP INDEX contacts_tags;
ALTER TABLE contacts DROP COLUMN search;
ALTER TABLE contacts ADD COLUMN search tsvector GENERATED ALWAYS AS (
    setweight(to_tsvector('folded', coalesce(first_name, '') || ' ' || coalesce(last_name, '')), 'A')
    || setweight(to_tsvector('folded', email || ' ' || coalesce(phone_number, '') || ' ' || words_of(tags)), 'B')
    || setweight(to_tsvector('folded', coalesce(description, '')), 'C')) STORED;

-- Row-level security lets a statement use an index only for operators marked as leakproof, and neither @@ nor lower()
-- is: every look-up by word or address would read the tenant's whole list. A view that checks the tenant itself has no
-- such limit. Its owner is a role that nobody can log in as or become, and that may only read this table; who reads
-- the view still sees the rows of the transaction's tenant, and none when there is no tenant
-- (docs/decisions/0010).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'smartcampaign_lookup') THEN
        CREATE ROLE smartcampaign_lookup NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this server was migrated at the same moment
END $$;
GRANT SELECT ON contacts TO smartcampaign_lookup;
CREATE POLICY looked_up ON contacts FOR SELECT TO smartcampaign_lookup USING (true);

CREATE VIEW findable_contacts AS SELECT * FROM contacts WHERE tenant_id = current_tenant();

-- A view's owner must be a role that its maker may become and that may create here: both only for this moment.
DO $$
BEGIN
    GRANT smartcampaign_lookup TO CURRENT_USER;
    GRANT CREATE ON SCHEMA public TO smartcampaign_lookup;
    ALTER VIEW findable_contacts OWNER TO smartcampaign_lookup;
    REVOKE CREATE ON SCHEMA public FROM smartcampaign_lookup;
    SET LOCAL ROLE smartcampaign_lookup;
    GRANT SELECT ON findable_contacts TO smartcampaign_app;
    RESET ROLE;
    REVOKE smartcampaign_lookup FROM CURRENT_USER;
END $$;
