-- name: totals
-- The facts of some campaigns. What happened is a sum over the hours of the roll-up, where each person stands once; what
-- did not go out is counted in the ledger, where it is a few rows (deliveries_stopped, deliveries_ready, deliveries_leased).
WITH sums AS (
    SELECT campaign_id, sum(email_sent_count) AS sent, sum(bounce_count) AS bounced, sum(email_opened_count) AS opened,
           sum(link_clicked_count) AS clicked, sum(opened_and_clicked_count) AS opened_and_clicked,
           sum(conversions) AS converted, sum(unsubscribe_count) AS unsubscribed, sum(complaint_count) AS complained,
           sum(total_click_count) AS clicks, sum(total_conversion_count) AS conversions, sum(conversion_value) AS value,
           sum(machine_open_count) AS machine_opens, sum(machine_click_count) AS machine_clicks,
           min(first_sent_at) AS first_sent_at, max(last_sent_at) AS last_sent_at
      FROM campaign_analytics
     WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[])
     GROUP BY campaign_id
),
-- Each state by itself: so each is read from the index that has only such rows.
unsent AS (
    SELECT campaign_id, state, count(*) AS mails
      FROM deliveries
     WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[])
       AND state IN ('failed', 'skipped', 'unknown')
     GROUP BY campaign_id, state
    UNION ALL
    SELECT campaign_id, 'waiting', count(*)
      FROM deliveries
     WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[]) AND state = 'ready'
     GROUP BY campaign_id
    UNION ALL
    SELECT campaign_id, 'waiting', count(*)
      FROM deliveries
     WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[]) AND state IN ('leased', 'sending')
     GROUP BY campaign_id
),
held AS (
    SELECT campaign_id, sum(mails) FILTER (WHERE state = 'failed') AS failed,
           sum(mails) FILTER (WHERE state = 'skipped') AS skipped,
           sum(mails) FILTER (WHERE state = 'unknown') AS unclear,
           sum(mails) FILTER (WHERE state = 'waiting') AS waiting
      FROM unsent
     GROUP BY campaign_id
)
SELECT c.campaign_id, c.name, c.status, s.first_sent_at, s.last_sent_at,
       coalesce(s.sent, 0)::bigint AS sent, coalesce(h.failed, 0)::bigint AS failed,
       coalesce(h.skipped, 0)::bigint AS skipped, coalesce(h.unclear, 0)::bigint AS unclear,
       coalesce(h.waiting, 0)::bigint AS waiting, coalesce(s.bounced, 0)::bigint AS bounced,
       coalesce(s.opened, 0)::bigint AS opened, coalesce(s.clicked, 0)::bigint AS clicked,
       coalesce(s.opened_and_clicked, 0)::bigint AS opened_and_clicked, coalesce(s.converted, 0)::bigint AS converted,
       coalesce(s.unsubscribed, 0)::bigint AS unsubscribed, coalesce(s.complained, 0)::bigint AS complained,
       coalesce(s.clicks, 0)::bigint AS clicks, coalesce(s.conversions, 0)::bigint AS conversions,
       coalesce(s.value, 0) AS value, coalesce(s.machine_opens, 0)::bigint AS machine_opens,
       coalesce(s.machine_clicks, 0)::bigint AS machine_clicks
  FROM campaigns c
  LEFT JOIN sums s ON s.campaign_id = c.campaign_id
  LEFT JOIN held h ON h.campaign_id = c.campaign_id
 WHERE c.tenant_id = %(tenant)s AND c.campaign_id = ANY (%(campaigns)s::uuid[])
 ORDER BY s.first_sent_at, c.name;

-- name: totals_since
-- The same with what people and machines did from some moment on, which the roll-up can't tell: somebody may have opened
-- before and after it. Counted from ledger and events: one pass over their part of each, put on top of each
-- other and gathered by person in one aggregate (a join of the two goes wrong where the planner has no statistics yet).
-- What a machine did counts for nobody; `unknown` counts as a person. Somebody whose mail bounced and who opened it got
-- it all the same.
WITH noted AS (
    SELECT campaign_id, contact_id, kind, class, at, value, NULL AS state
      FROM events
     WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[])
    UNION ALL
    SELECT campaign_id, contact_id, NULL, NULL, coalesce(sent_at, updated_at), NULL, state
      FROM deliveries
     WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[])
),
people AS (
    SELECT campaign_id, contact_id, max(state) AS state, min(at) FILTER (WHERE state = 'sent') AS sent_at,
           bool_or(kind = 'bounce') AS bounced,
           bool_or(kind IN ('open', 'click') AND class <> 'machine') AS there,
           bool_or(kind = 'open' AND class <> 'machine' AND at >= s.since) AS opened,
           bool_or(kind = 'click' AND class <> 'machine' AND at >= s.since) AS clicked,
           bool_or(kind = 'conversion' AND class <> 'machine' AND at >= s.since) AS converted,
           bool_or(kind = 'unsubscribe' AND at >= s.since) AS unsubscribed,
           bool_or(kind = 'complaint' AND at >= s.since) AS complained,
           count(*) FILTER (WHERE kind = 'click' AND class <> 'machine' AND at >= s.since) AS clicks,
           count(*) FILTER (WHERE kind = 'conversion' AND class <> 'machine' AND at >= s.since) AS conversions,
           sum(value) FILTER (WHERE kind = 'conversion' AND class <> 'machine' AND at >= s.since) AS value,
           count(*) FILTER (WHERE kind = 'open' AND class = 'machine' AND at >= s.since) AS machine_opens,
           count(*) FILTER (WHERE kind = 'click' AND class = 'machine' AND at >= s.since) AS machine_clicks
      FROM noted, (SELECT coalesce(%(since)s::timestamptz, '-infinity') AS since) AS s
     GROUP BY campaign_id, contact_id
),
facts AS (
    SELECT campaign_id,
           count(*) FILTER (WHERE state = 'sent') AS sent, count(*) FILTER (WHERE state = 'failed') AS failed,
           count(*) FILTER (WHERE state = 'skipped') AS skipped, count(*) FILTER (WHERE state = 'unknown') AS unclear,
           count(*) FILTER (WHERE state IN ('ready', 'leased', 'sending')) AS waiting,
           count(*) FILTER (WHERE state = 'sent' AND bounced AND there IS NOT TRUE) AS bounced,
           min(sent_at) AS first_sent_at, max(sent_at) AS last_sent_at,
           -- An event whose person is not known (contact_id is NULL) is nobody, and its clicks count all the same.
           count(contact_id) FILTER (WHERE opened) AS opened,
           count(contact_id) FILTER (WHERE clicked) AS clicked,
           count(contact_id) FILTER (WHERE opened AND clicked) AS opened_and_clicked,
           count(contact_id) FILTER (WHERE converted) AS converted,
           count(contact_id) FILTER (WHERE unsubscribed) AS unsubscribed,
           count(contact_id) FILTER (WHERE complained) AS complained,
           sum(clicks)::bigint AS clicks, sum(conversions)::bigint AS conversions, sum(value) AS value,
           sum(machine_opens)::bigint AS machine_opens, sum(machine_clicks)::bigint AS machine_clicks
      FROM people
     GROUP BY campaign_id
)
SELECT c.campaign_id, c.name, c.status, f.first_sent_at, f.last_sent_at,
       coalesce(f.sent, 0) AS sent, coalesce(f.failed, 0) AS failed, coalesce(f.skipped, 0) AS skipped,
       coalesce(f.unclear, 0) AS unclear, coalesce(f.waiting, 0) AS waiting, coalesce(f.bounced, 0) AS bounced,
       coalesce(f.opened, 0) AS opened, coalesce(f.clicked, 0) AS clicked,
       coalesce(f.opened_and_clicked, 0) AS opened_and_clicked, coalesce(f.converted, 0) AS converted,
       coalesce(f.unsubscribed, 0) AS unsubscribed, coalesce(f.complained, 0) AS complained,
       coalesce(f.clicks, 0) AS clicks, coalesce(f.conversions, 0) AS conversions, coalesce(f.value, 0) AS value,
       coalesce(f.machine_opens, 0) AS machine_opens, coalesce(f.machine_clicks, 0) AS machine_clicks
  FROM campaigns c
  LEFT JOIN facts f ON f.campaign_id = c.campaign_id
 WHERE c.tenant_id = %(tenant)s AND c.campaign_id = ANY (%(campaigns)s::uuid[])
 ORDER BY f.first_sent_at, c.name;

-- name: links
-- Which links people clicked; `people` counts each once a link and campaign.
SELECT url, sum(person_count)::bigint AS people, sum(click_count)::bigint AS clicks
  FROM campaign_links
 WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[]) AND click_count > 0
 GROUP BY url
 ORDER BY people DESC, clicks DESC, url
 LIMIT %(limit)s;

-- name: links_since
SELECT url, count(DISTINCT (campaign_id, contact_id)) AS people, count(*) AS clicks
  FROM events
 WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[]) AND kind = 'click'
   AND class <> 'machine' AND url IS NOT NULL AND at >= coalesce(%(since)s::timestamptz, '-infinity')
 GROUP BY url
 ORDER BY people DESC, clicks DESC, url
 LIMIT %(limit)s;

-- name: sent_since
-- Which campaigns sent mail from then on, latest first; from the roll-up, which is small.
SELECT a.campaign_id
  FROM campaign_analytics a
 WHERE a.tenant_id = %(tenant)s AND a.email_sent_count > 0
   AND a.hour >= date_trunc('hour', coalesce(%(since)s::timestamptz, '-infinity'), 'UTC')
 GROUP BY a.campaign_id
 ORDER BY max(a.hour) DESC, a.campaign_id
 LIMIT %(limit)s;

-- name: past
-- What the tenant has sent, latest first: each campaign's totals as sums of its roll-up, so that a comparison with a
-- hundred past campaigns reads some thousand rows and none of their events. `share` compares the mailing with the
-- largest of the year before it: near 1 it went to everybody.
WITH sums AS (
    SELECT campaign_id, min(hour) FILTER (WHERE email_sent_count > 0) AS first_hour, sum(email_sent_count) AS sent,
           sum(bounce_count) AS bounced, sum(email_opened_count) AS opened, sum(link_clicked_count) AS clicked,
           sum(conversions) AS converted, sum(unsubscribe_count) AS unsubscribed
      FROM campaign_analytics
     WHERE tenant_id = %(tenant)s
     GROUP BY campaign_id
    HAVING sum(email_sent_count) > 0
)
SELECT c.campaign_id, c.name, c.description, c.status, coalesce(c.send_at, s.first_hour) AS sent_at, s.sent, s.bounced,
       s.opened, s.clicked, s.converted, s.unsubscribed,
       s.sent::float / max(s.sent) OVER (ORDER BY s.first_hour RANGE BETWEEN '365 days' PRECEDING AND CURRENT ROW)
           AS share
  FROM sums s
  JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = s.campaign_id
 ORDER BY s.first_hour DESC, c.campaign_id
 LIMIT %(limit)s;

-- name: nearest
-- How near each of some campaigns is to some words in meaning; those that another model embedded are left out.
SELECT campaign_id, 1 - (vector_embedding <=> %(vector)s::halfvec) AS nearness
  FROM campaigns
 WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[]) AND embedding_model = %(model)s
 ORDER BY nearness DESC, campaign_id;

-- name: mails
-- The templates of some campaigns: what people saw.
SELECT campaign_id, variant, subject, body
  FROM campaign_emails
 WHERE tenant_id = %(tenant)s AND campaign_id = ANY (%(campaigns)s::uuid[]) AND contact_id IS NULL
 ORDER BY campaign_id, variant;

-- name: inside_campaigns
-- Mails of the same campaign compared with each other, by three traits: the reader is among the quarter whom the
-- campaign is nearest in meaning (`near`; only where it went to everybody, for a chosen audience is near already); had no other mail in the days before (`rested`); got the variant with the
-- trait that was tried (`trial_*`: a short subject or a personal one).
--
-- A person is in many campaigns, so mail/significance.within needs each person's sums; they are added up here. For every
-- mail, x (has the trait) and y (opened, clicked) are taken less their means in that campaign.
--
-- All by contact: deliveries_contact and events_contact are read in order, put on top of each other and gathered, which
-- takes no join. For a large tenant `last` bounds the contacts to a share of all; their ids are random, so it is a fair
-- sample.
WITH noted AS (
    -- Who waited for the end of a test got the better one: that was no chance, so they show nothing of a trait.
    SELECT d.contact_id, d.campaign_id, CASE WHEN d.tested OR t.share IS NULL THEN d.variant END AS variant, d.sent_at,
           false AS opened, false AS clicked
      FROM deliveries d
      LEFT JOIN variant_tests t ON t.tenant_id = %(tenant)s AND t.campaign_id = d.campaign_id
     WHERE d.tenant_id = %(tenant)s AND d.state = 'sent' AND d.contact_id <= %(last)s::uuid
       -- A mail needs its days before, so the window begins earlier than the campaigns do.
       AND d.sent_at >= %(since)s::timestamptz - %(days)s * interval '1 day'
    UNION ALL
    SELECT contact_id, campaign_id, NULL, NULL, kind = 'open', kind = 'click'
      FROM events
     WHERE tenant_id = %(tenant)s AND contact_id <= %(last)s::uuid AND at >= %(since)s::timestamptz
       AND kind IN ('open', 'click') AND class <> 'machine'
),
answered AS (
    SELECT contact_id, campaign_id, max(variant) AS variant, max(sent_at) AS sent_at, bool_or(opened) AS opened,
           bool_or(clicked) AS clicked
      FROM noted
     GROUP BY contact_id, campaign_id
    HAVING max(sent_at) IS NOT NULL
),
mailed AS (
    SELECT *, count(*) OVER (PARTITION BY contact_id ORDER BY sent_at
                             RANGE BETWEEN %(days)s * interval '1 day' PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW)
                  AS lately
      FROM answered
),
seen AS (
    SELECT m.campaign_id, m.contact_id, m.variant, m.lately, m.opened, m.clicked,
           CASE WHEN m.campaign_id = ANY (%(broad)s::uuid[]) AND k.embedding_model = c.embedding_model
                THEN 1 - (k.vector_embedding <=> c.vector_embedding) END AS nearness
      FROM mailed m
      JOIN campaigns c ON c.tenant_id = %(tenant)s AND c.campaign_id = m.campaign_id
      LEFT JOIN contacts k ON k.tenant_id = %(tenant)s AND k.contact_id = m.contact_id
     WHERE m.campaign_id = ANY (%(campaigns)s::uuid[])
),
ranked AS (
    -- cume_dist: people with the same note are together on one side or the other.
    SELECT *, cume_dist() OVER (PARTITION BY campaign_id, nearness IS NULL ORDER BY nearness DESC) AS place
      FROM seen
),
marked AS (
    SELECT campaign_id, contact_id, 'near' AS trait, place <= 0.25 AS x, opened, clicked
      FROM ranked WHERE nearness IS NOT NULL
    UNION ALL
    SELECT campaign_id, contact_id, 'rested', lately = 0, opened, clicked FROM ranked
    UNION ALL
    SELECT r.campaign_id, r.contact_id, t.trait, t.x, r.opened, r.clicked
      FROM ranked r
      JOIN unnest(%(trial_campaigns)s::uuid[], %(trial_variants)s::text[], %(trial_traits)s::text[],
                  %(trial_values)s::bool[]) AS t (campaign_id, variant, trait, x)
        ON t.campaign_id = r.campaign_id AND t.variant = r.variant
),
centred AS (
    SELECT campaign_id, contact_id, trait, x, opened, clicked,
           x::int - avg(x::int::float) OVER g AS dx,
           opened::int - avg(opened::int::float) OVER g AS dopened,
           clicked::int - avg(clicked::int::float) OVER g AS dclicked
      FROM marked
    WINDOW g AS (PARTITION BY trait, campaign_id)
),
persons AS (
    SELECT trait, sum(dx * dopened) AS uo, sum(dx * dclicked) AS uc, sum(dx * dx) AS q
      FROM centred
     GROUP BY trait, contact_id
),
moments AS (
    SELECT trait, sum(q) AS q, sum(q * q) AS qq, sum(uo) AS open_u, sum(uo * uo) AS open_uu, sum(uo * q) AS open_uq,
           sum(uc) AS click_u, sum(uc * uc) AS click_uu, sum(uc * q) AS click_uq
      FROM persons
     GROUP BY trait
)
SELECT c.trait, c.campaign_id,
       count(*) FILTER (WHERE x) AS with_mails, count(*) FILTER (WHERE NOT x) AS without_mails,
       count(*) FILTER (WHERE x AND opened) AS with_opened, count(*) FILTER (WHERE NOT x AND opened) AS without_opened,
       count(*) FILTER (WHERE x AND clicked) AS with_clicked,
       count(*) FILTER (WHERE NOT x AND clicked) AS without_clicked,
       m.q, m.qq, m.open_u, m.open_uu, m.open_uq, m.click_u, m.click_uu, m.click_uq
  FROM centred c
  JOIN moments m USING (trait)
 GROUP BY c.trait, c.campaign_id, m.q, m.qq, m.open_u, m.open_uu, m.open_uq, m.click_u, m.click_uu, m.click_uq
 ORDER BY c.trait, c.campaign_id;

-- name: audience
-- How many contacts the tenant has of each status, and how many came since then. Each status by itself: a count in
-- contacts_status alone, which takes two thirds of the time of a GROUP BY, and can be shared by several processors.
SELECT (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'subscribed') AS subscribed,
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'unconfirmed') AS unconfirmed,
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'unsubscribed') AS unsubscribed,
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'bounced') AS bounced,
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND status = 'complained') AS complained,
       (SELECT count(*) FROM contacts WHERE tenant_id = %(tenant)s AND created_at >= %(since)s) AS new;

-- name: lock_for_events
-- Whoever adds or judges events of a campaign does it alone: the roll-up changes by the difference that it makes to each
-- person. In the order of the numbers, so that two that lock several campaigns can't wait for each other. The lock on the
-- tenant is shared; an erasure takes it alone (events.lock_erasure), so nothing is written about somebody who is gone.
WITH tenant AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(7205, hashtext(%(tenant)s::text))),
campaigns AS (
    SELECT DISTINCT hashtext(%(tenant)s::text || campaign_id::text) AS number
      FROM unnest(%(campaigns)s::uuid[]) AS c (campaign_id)
     ORDER BY number
)
SELECT count(pg_advisory_xact_lock(7206, number)) AS campaigns_of_this_tenant_id, (SELECT count(*) FROM tenant)
  FROM (SELECT number FROM campaigns OFFSET 0) AS c;

-- name: lock_for_sends
-- Shared by senders, who add up their mails; taken alone by whoever works a campaign out anew.
SELECT count(CASE WHEN %(alone)s THEN pg_advisory_xact_lock(7207, number)
                  ELSE pg_advisory_xact_lock_shared(7207, number) END) AS campaigns_of_this_tenant_id
  FROM (SELECT DISTINCT hashtext(%(tenant)s::text || campaign_id::text) AS number
          FROM unnest(%(campaigns)s::uuid[]) AS c (campaign_id) ORDER BY 1 OFFSET 0) AS c;

-- name: recount
-- A campaign's hours from ledger and events, as the roll-up must have them. People are counted in the hour of their first
-- open, click, conversion and so on: the sums count people, and equal what `totals` counts.
WITH people AS (
    SELECT contact_id,
           min(at) FILTER (WHERE kind = 'open' AND class <> 'machine') AS opened_at,
           min(at) FILTER (WHERE kind = 'click' AND class <> 'machine') AS clicked_at,
           min(at) FILTER (WHERE kind = 'conversion' AND class <> 'machine') AS converted_at,
           min(at) FILTER (WHERE kind = 'bounce') AS bounced_at,
           min(at) FILTER (WHERE kind = 'complaint') AS complained_at,
           min(at) FILTER (WHERE kind = 'unsubscribe') AS unsubscribed_at
      FROM events
     WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND contact_id IS NOT NULL
     GROUP BY contact_id
),
happened (at, what, value) AS (
    SELECT coalesce(sent_at, updated_at), 'sent', NULL::numeric
      FROM deliveries
     WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'sent'
    UNION ALL
    SELECT m.at, m.what, NULL
      FROM people p,
           LATERAL (VALUES (p.opened_at, 'opened'), (p.clicked_at, 'clicked'), (p.converted_at, 'converted'),
                           (p.complained_at, 'complained'), (p.unsubscribed_at, 'unsubscribed'),
                           -- greatest() would skip a NULL
                           (CASE WHEN p.opened_at > p.clicked_at THEN p.opened_at
                                 WHEN p.opened_at IS NOT NULL THEN p.clicked_at END, 'both')) AS m (at, what)
     WHERE m.at IS NOT NULL
    UNION ALL
    SELECT p.bounced_at, 'bounced', NULL
      FROM people p
      JOIN deliveries d ON d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s
                       AND d.contact_id = p.contact_id AND d.state = 'sent'
     WHERE p.bounced_at IS NOT NULL AND p.opened_at IS NULL AND p.clicked_at IS NULL
    UNION ALL
    SELECT at, CASE WHEN kind = 'conversion' THEN 'conversion' WHEN class <> 'machine' THEN 'click'
                    WHEN kind = 'open' THEN 'machine open' ELSE 'machine click' END, value
      FROM events
     WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s
       AND (kind = 'click' OR (kind = 'open' AND class = 'machine') OR (kind = 'conversion' AND class <> 'machine'))
)
SELECT date_trunc('hour', at, 'UTC') AS hour,
       count(*) FILTER (WHERE what = 'sent') AS email_sent_count,
       count(*) FILTER (WHERE what = 'opened') AS email_opened_count,
       count(*) FILTER (WHERE what = 'clicked') AS link_clicked_count,
       count(*) FILTER (WHERE what = 'click') AS total_click_count,
       count(*) FILTER (WHERE what = 'converted') AS conversions,
       count(*) FILTER (WHERE what = 'machine open') AS machine_open_count,
       count(*) FILTER (WHERE what = 'machine click') AS machine_click_count,
       count(*) FILTER (WHERE what = 'bounced') AS bounce_count,
       count(*) FILTER (WHERE what = 'complained') AS complaint_count,
       count(*) FILTER (WHERE what = 'unsubscribed') AS unsubscribe_count,
       count(*) FILTER (WHERE what = 'both') AS opened_and_clicked_count,
       count(*) FILTER (WHERE what = 'conversion') AS total_conversion_count,
       coalesce(sum(value) FILTER (WHERE what = 'conversion'), 0) AS conversion_value,
       min(at) FILTER (WHERE what = 'sent') AS first_sent_at,
       max(at) FILTER (WHERE what = 'sent') AS last_sent_at
  FROM happened
 GROUP BY 1
 ORDER BY 1;

-- name: hours
-- The roll-up of a campaign as it stands.
SELECT hour, email_sent_count, email_opened_count, link_clicked_count, total_click_count, conversions,
       machine_open_count, machine_click_count, bounce_count, complaint_count, unsubscribe_count,
       opened_and_clicked_count, total_conversion_count, conversion_value, first_sent_at, last_sent_at
  FROM campaign_analytics
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s
 ORDER BY hour;

-- name: clear_hours
DELETE FROM campaign_analytics WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s;

-- name: add_to_hours
-- What some events changed, added to what was counted. In the order of the key: two that add to the same rows wait for
-- each other in one direction only.
INSERT INTO campaign_analytics AS a
       (tenant_id, campaign_id, hour, email_sent_count, email_opened_count, link_clicked_count, total_click_count,
        conversions, machine_open_count, machine_click_count, bounce_count, complaint_count, unsubscribe_count,
        opened_and_clicked_count, total_conversion_count, conversion_value, first_sent_at, last_sent_at)
SELECT %(tenant)s, n.*
  FROM unnest(%(campaigns)s::uuid[], %(hours)s::timestamptz[], %(email_sent_count)s::int[],
              %(email_opened_count)s::int[], %(link_clicked_count)s::int[], %(total_click_count)s::int[],
              %(conversions)s::int[], %(machine_open_count)s::int[], %(machine_click_count)s::int[],
              %(bounce_count)s::int[], %(complaint_count)s::int[], %(unsubscribe_count)s::int[],
              %(opened_and_clicked_count)s::int[], %(total_conversion_count)s::int[],
              %(conversion_value)s::numeric[], %(first_sent_at)s::timestamptz[], %(last_sent_at)s::timestamptz[])
       AS n (campaign_id, hour)
 ORDER BY n.campaign_id, n.hour
ON CONFLICT (tenant_id, campaign_id, hour) DO UPDATE
   SET email_sent_count = a.email_sent_count + excluded.email_sent_count,
       email_opened_count = a.email_opened_count + excluded.email_opened_count,
       link_clicked_count = a.link_clicked_count + excluded.link_clicked_count,
       total_click_count = a.total_click_count + excluded.total_click_count,
       conversions = a.conversions + excluded.conversions,
       machine_open_count = a.machine_open_count + excluded.machine_open_count,
       machine_click_count = a.machine_click_count + excluded.machine_click_count,
       bounce_count = a.bounce_count + excluded.bounce_count,
       complaint_count = a.complaint_count + excluded.complaint_count,
       unsubscribe_count = a.unsubscribe_count + excluded.unsubscribe_count,
       opened_and_clicked_count = a.opened_and_clicked_count + excluded.opened_and_clicked_count,
       total_conversion_count = a.total_conversion_count + excluded.total_conversion_count,
       conversion_value = a.conversion_value + excluded.conversion_value,
       -- least() and greatest() skip a NULL.
       first_sent_at = least(a.first_sent_at, excluded.first_sent_at),
       last_sent_at = greatest(a.last_sent_at, excluded.last_sent_at);

-- name: count_sent
-- Mails that a server has just taken, added to their hours. A bounce may have been told before the server's own answer
-- was written down; it counts from now on.
WITH sent AS (
    SELECT campaign_id, contact_id, sent_at
      FROM unnest(%(campaigns)s::uuid[], %(contacts)s::uuid[], %(sent_at)s::timestamptz[])
           AS s (campaign_id, contact_id, sent_at)
),
bounced AS (
    SELECT s.campaign_id, min(e.at) FILTER (WHERE e.kind = 'bounce') AS at
      FROM sent s
      JOIN events e ON e.tenant_id = %(tenant)s AND e.contact_id = s.contact_id AND e.campaign_id = s.campaign_id
     GROUP BY s.campaign_id, s.contact_id
    HAVING bool_or(e.kind = 'bounce') AND NOT bool_or(e.kind IN ('open', 'click') AND e.class <> 'machine')
),
happened AS (
    SELECT campaign_id, sent_at AS at, 1 AS sent, 0 AS bounced FROM sent
    UNION ALL
    SELECT campaign_id, at, 0, 1 FROM bounced
),
hours AS (
    SELECT campaign_id, date_trunc('hour', at, 'UTC') AS hour, sum(sent) AS sent, sum(bounced) AS bounced,
           min(at) FILTER (WHERE sent = 1) AS first_sent_at, max(at) FILTER (WHERE sent = 1) AS last_sent_at
      FROM happened
     GROUP BY 1, 2
)
INSERT INTO campaign_analytics AS a
       (tenant_id, campaign_id, hour, email_sent_count, bounce_count, first_sent_at, last_sent_at)
SELECT %(tenant)s, campaign_id, hour, sent, bounced, first_sent_at, last_sent_at
  FROM hours
 ORDER BY campaign_id, hour
ON CONFLICT (tenant_id, campaign_id, hour) DO UPDATE
   SET email_sent_count = a.email_sent_count + excluded.email_sent_count,
       bounce_count = a.bounce_count + excluded.bounce_count,
       first_sent_at = least(a.first_sent_at, excluded.first_sent_at),
       last_sent_at = greatest(a.last_sent_at, excluded.last_sent_at);

-- name: recount_links
-- A campaign's links from its events, as campaign_links must have them.
SELECT url, count(DISTINCT contact_id) FILTER (WHERE class <> 'machine') AS person_count,
       count(*) FILTER (WHERE class <> 'machine') AS click_count, count(*) FILTER (WHERE class = 'machine') AS machine_count
  FROM events
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND kind = 'click' AND url IS NOT NULL
 GROUP BY url
 ORDER BY url;

-- name: link_counts
SELECT url, person_count, click_count, machine_count
  FROM campaign_links
 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s
 ORDER BY url;

-- name: clear_links
DELETE FROM campaign_links WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s;

-- name: add_to_links
INSERT INTO campaign_links AS l (tenant_id, campaign_id, url_hash, url, person_count, click_count, machine_count)
SELECT %(tenant)s, n.campaign_id, sha256(convert_to(n.url, 'UTF8')), n.url, n.person_count, n.click_count, n.machine_count
  FROM unnest(%(campaigns)s::uuid[], %(urls)s::text[], %(person_count)s::int[], %(click_count)s::int[],
              %(machine_count)s::int[]) AS n (campaign_id, url, person_count, click_count, machine_count)
 ORDER BY n.campaign_id, n.url
ON CONFLICT (tenant_id, campaign_id, url_hash) DO UPDATE
   SET person_count = l.person_count + excluded.person_count,
       click_count = l.click_count + excluded.click_count,
       machine_count = l.machine_count + excluded.machine_count;

-- name: campaigns_with_figures
-- Every campaign of the tenant that has a mail in the ledger, oldest first: what `events verify` goes through.
SELECT c.campaign_id, c.name
  FROM campaigns c
 WHERE c.tenant_id = %(tenant)s
   AND (EXISTS (SELECT FROM deliveries d WHERE d.tenant_id = %(tenant)s AND d.campaign_id = c.campaign_id)
        OR EXISTS (SELECT FROM events e WHERE e.tenant_id = %(tenant)s AND e.campaign_id = c.campaign_id)
        OR EXISTS (SELECT FROM campaign_analytics a WHERE a.tenant_id = %(tenant)s AND a.campaign_id = c.campaign_id))
 ORDER BY c.created_at, c.campaign_id;
