-- After a large write the planner still believes in the table as it was, until autovacuum comes by a minute later: a
-- check of 50,000 recipients right after they were added compared each with each, for minutes. The program's role owns
-- no table and so may not ANALYZE; this lets it, for the tables that are filled in bulk, when it is worth it.
CREATE FUNCTION refresh_statistics(tables text[], written bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    of_table text;
BEGIN
    FOREACH of_table IN ARRAY tables LOOP
        CONTINUE WHEN of_table NOT IN ('contacts', 'campaign_contacts', 'deliveries', 'suppressions')
                      OR written < 0.1 * (SELECT reltuples FROM pg_class WHERE oid = format('public.%I', of_table)::regclass);
        EXECUTE format('ANALYZE public.%I', of_table);
    END LOOP;
EXCEPTION WHEN lock_not_available THEN
    NULL; -- somebody else is at it
END $$;
REVOKE ALL ON FUNCTION refresh_statistics FROM PUBLIC;
GRANT EXECUTE ON FUNCTION refresh_statistics TO smartcampaign_app;
