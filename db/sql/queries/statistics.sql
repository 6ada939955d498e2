-- name: refresh
-- Of the whole tables: statistics know no tenants.
SELECT refresh_statistics(%(tables)s::text[], %(written)s) WHERE %(tenant)s::uuid IS NOT NULL; -- tenant_id
