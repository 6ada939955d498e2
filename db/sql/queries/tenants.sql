-- name: add
INSERT INTO tenants (name, time_zone, country) VALUES (%(name)s, %(time_zone)s, %(country)s)
ON CONFLICT (lower(name)) DO NOTHING
RETURNING id;

-- name: all
SELECT id, name, time_zone, country, sender_name, sender_email, send_cap, halted_at
  FROM tenants ORDER BY created_at, id;

-- name: find
SELECT id, name, time_zone, country, sender_name, sender_email, send_cap, halted_at
  FROM tenants WHERE id = %(tenant)s;

-- name: update
UPDATE tenants
   SET name = coalesce(%(name)s, name), time_zone = coalesce(%(time_zone)s, time_zone),
       country = coalesce(%(country)s, country), sender_name = coalesce(%(sender_name)s, sender_name),
       sender_email = coalesce(%(sender_email)s, sender_email)
 WHERE id = %(tenant)s;
