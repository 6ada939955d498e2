-- name: keys
SELECT version, key, secret_id FROM link_keys WHERE tenant_id = %(tenant)s ORDER BY version;

-- name: add_key
-- Two programs that start at once make one key: the second finds the first's.
INSERT INTO link_keys (tenant_id, version, key, secret_id)
VALUES (%(tenant)s, %(version)s, %(key)s, %(secret_id)s)
ON CONFLICT (tenant_id, version) DO NOTHING;

-- name: conversion_hosts
SELECT conversion_hosts, id AS tenant_id FROM tenants WHERE id = %(tenant)s;

-- name: set_conversion_hosts
-- By the owner: a tenant's own row is not the program's to change.
UPDATE tenants SET conversion_hosts = %(hosts)s::text[] WHERE id = %(tenant)s RETURNING id AS tenant_id;
