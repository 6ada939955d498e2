-- name: totals
-- The facts of some campaigns, counted from ledger and events: one pass over their part of each, put on top of each
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
-- A person is in many campaigns, so tools/statistics.within needs each person's sums; they are added up here. For every
-- mail, x (has the trait) and y (opened, clicked) are taken less their means in that campaign.
--
-- All by contact: deliveries_contact and events_contact are read in order, put on top of each other and gathered, which
-- takes no join. For a large tenant `last` bounds the contacts to a share of all; their ids are random, so it is a fair
-- sample.
WITH noted AS (
    SELECT contact_id, campaign_id, variant, sent_at, false AS opened, false AS clicked
      FROM deliveries
     WHERE tenant_id = %(tenant)s AND state = 'sent' AND contact_id <= %(last)s::uuid
       -- A mail needs its days before, so the window begins earlier than the campaigns do.
       AND sent_at >= %(since)s::timestamptz - %(days)s * interval '1 day'
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

-- name: roll_up
-- A campaign's hours, worked out anew from ledger and events, in one statement: hours that are no more are deleted,
-- the others written over, so it may run any number of times. People are counted in the hour of their first open,
-- click, conversion and so on: the sums count people, and equal what `totals` counts.
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
happened (at, what, many) AS (
    SELECT coalesce(sent_at, updated_at), 'sent', 1
      FROM deliveries
     WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s AND state = 'sent'
    UNION ALL
    SELECT m.at, m.what, 1
      FROM people p,
           LATERAL (VALUES (p.opened_at, 'opened'), (p.clicked_at, 'clicked'), (p.converted_at, 'converted'),
                           (p.complained_at, 'complained'), (p.unsubscribed_at, 'unsubscribed')) AS m (at, what)
     WHERE m.at IS NOT NULL
    UNION ALL
    SELECT p.bounced_at, 'bounced', 1
      FROM people p
      JOIN deliveries d ON d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign_id)s
                       AND d.contact_id = p.contact_id AND d.state = 'sent'
     WHERE p.bounced_at IS NOT NULL AND p.opened_at IS NULL AND p.clicked_at IS NULL
    UNION ALL
    SELECT at, CASE WHEN class <> 'machine' THEN 'click' WHEN kind = 'open' THEN 'machine open' ELSE 'machine click' END,
           1
      FROM events
     WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign_id)s
       AND (kind = 'click' OR (kind = 'open' AND class = 'machine'))
),
hours AS (
    SELECT date_trunc('hour', at, 'UTC') AS hour,
           count(*) FILTER (WHERE what = 'sent') AS sent, count(*) FILTER (WHERE what = 'opened') AS opened,
           count(*) FILTER (WHERE what = 'clicked') AS clicked, count(*) FILTER (WHERE what = 'click') AS clicks,
           count(*) FILTER (WHERE what = 'converted') AS converted,
           count(*) FILTER (WHERE what = 'machine open') AS machine_opens,
           count(*) FILTER (WHERE what = 'machine click') AS machine_clicks,
           count(*) FILTER (WHERE what = 'bounced') AS bounced,
           count(*) FILTER (WHERE what = 'complained') AS complained,
           count(*) FILTER (WHERE what = 'unsubscribed') AS unsubscribed
      FROM happened
     GROUP BY 1
),
gone AS (
    DELETE FROM campaign_analytics a
     WHERE a.tenant_id = %(tenant)s AND a.campaign_id = %(campaign_id)s
       AND NOT EXISTS (SELECT FROM hours h WHERE h.hour = a.hour)
)
INSERT INTO campaign_analytics (tenant_id, campaign_id, hour, email_sent_count, email_opened_count, link_clicked_count,
                                total_click_count, conversions, machine_open_count, machine_click_count, bounce_count,
                                complaint_count, unsubscribe_count)
SELECT %(tenant)s, %(campaign_id)s, hour, sent, opened, clicked, clicks, converted, machine_opens, machine_clicks,
       bounced, complained, unsubscribed
  FROM hours
ON CONFLICT (tenant_id, campaign_id, hour) DO UPDATE
   SET email_sent_count = excluded.email_sent_count, email_opened_count = excluded.email_opened_count,
       link_clicked_count = excluded.link_clicked_count, total_click_count = excluded.total_click_count,
       conversions = excluded.conversions, machine_open_count = excluded.machine_open_count,
       machine_click_count = excluded.machine_click_count, bounce_count = excluded.bounce_count,
       complaint_count = excluded.complaint_count, unsubscribe_count = excluded.unsubscribe_count;
