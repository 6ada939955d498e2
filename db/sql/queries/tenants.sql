-- name: add
INSERT INTO tenants (name, time_zone, country) VALUES (%(name)s, %(time_zone)s, %(country)s)
ON CONFLICT (lower(name)) DO NOTHING
RETURNING id;

-- name: all
SELECT id, name, time_zone, country, sender_name, sender_email, send_cap, halted_at, daily_cap,
       rate_per_second::float AS rate_per_second, own_addresses, live_since
  FROM tenants ORDER BY created_at, id;

-- name: find
SELECT id, name, time_zone, country, sender_name, sender_email, send_cap, halted_at, daily_cap,
       rate_per_second::float AS rate_per_second, own_addresses, live_since
  FROM tenants WHERE id = %(tenant)s;

-- name: update
UPDATE tenants
   SET name = coalesce(%(name)s, name), time_zone = coalesce(%(time_zone)s, time_zone),
       country = coalesce(%(country)s, country), sender_name = coalesce(%(sender_name)s, sender_name),
       sender_email = coalesce(%(sender_email)s, sender_email),
       send_cap = coalesce(%(send_cap)s, send_cap), daily_cap = coalesce(%(daily_cap)s, daily_cap),
       rate_per_second = CASE WHEN %(rate)s::numeric = 0 THEN NULL ELSE coalesce(%(rate)s::numeric, rate_per_second) END,
       own_addresses = coalesce(%(own_addresses)s::text[], own_addresses)
 WHERE id = %(tenant)s;

-- name: halt
-- The kill switch: of one tenant, or with NULL of all. Workers look at it in the statement that begins a mail.
UPDATE tenants SET halted_at = now() WHERE halted_at IS NULL AND (%(tenant)s::uuid IS NULL OR id = %(tenant)s);

-- name: lift_halt
UPDATE tenants SET halted_at = NULL WHERE halted_at IS NOT NULL AND (%(tenant)s::uuid IS NULL OR id = %(tenant)s);

-- name: set_live
-- NULL for all. The first time counts.
UPDATE tenants
   SET live_since = CASE WHEN %(live)s::bool THEN coalesce(live_since, now()) END
 WHERE (live_since IS NULL) = %(live)s::bool AND (%(tenant)s::uuid IS NULL OR id = %(tenant)s);
