-- No tenant in these: a server's rate is shared by all of them.

-- name: take
SELECT take_slots(%(name)s, %(size)s, %(many)s, %(owner)s, %(lease)s::interval);

-- name: free
SELECT free_slots(%(name)s, %(slots)s::int[], %(owner)s, %(hold)s::interval);
