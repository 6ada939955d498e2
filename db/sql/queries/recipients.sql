-- name: page
-- Who is in a campaign or was sent it, in the order of their ids: rows that are added meanwhile shift nothing, and a
-- large campaign is not sorted for one page. `did` picks those of whom that is known; machines do not count.
SELECT p.contact_id, coalesce(nullif(d.address, ''), c.email, '') AS address, c.first_name, c.last_name,
       coalesce(d.state, 'not sent') AS state, d.reason, d.sent_at, e.opens, e.clicks, e.conversions, e.bounced,
       e.unsubscribed, e.complained
  FROM (SELECT k.contact_id
          FROM (SELECT contact_id FROM campaign_contacts
                 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s AND contact_id > %(after)s
                UNION
                SELECT contact_id FROM deliveries
                 WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s AND contact_id > %(after)s) AS k
         WHERE (%(did)s::text IS NULL
                OR EXISTS (SELECT FROM events v
                            WHERE v.tenant_id = %(tenant)s AND v.contact_id = k.contact_id
                              AND v.campaign_id = %(campaign)s AND v.kind = %(did)s
                              AND (v.class <> 'machine' OR v.kind NOT IN ('open', 'click', 'conversion'))))
           AND (%(state)s::text IS NULL
                OR EXISTS (SELECT FROM deliveries s
                            WHERE s.tenant_id = %(tenant)s AND s.campaign_id = %(campaign)s
                              AND s.contact_id = k.contact_id AND s.state = %(state)s))
         ORDER BY k.contact_id
         LIMIT %(limit)s) AS p
  LEFT JOIN deliveries d ON d.tenant_id = %(tenant)s AND d.campaign_id = %(campaign)s AND d.contact_id = p.contact_id
  LEFT JOIN contacts c ON c.tenant_id = %(tenant)s AND c.contact_id = p.contact_id
  LEFT JOIN LATERAL (
       SELECT count(*) FILTER (WHERE kind = 'open' AND class <> 'machine') AS opens,
              count(*) FILTER (WHERE kind = 'click' AND class <> 'machine') AS clicks,
              count(*) FILTER (WHERE kind = 'conversion' AND class <> 'machine') AS conversions,
              coalesce(bool_or(kind = 'bounce'), false) AS bounced,
              coalesce(bool_or(kind = 'unsubscribe'), false) AS unsubscribed,
              coalesce(bool_or(kind = 'complaint'), false) AS complained
         FROM events
        WHERE tenant_id = %(tenant)s AND contact_id = p.contact_id AND campaign_id = %(campaign)s) AS e ON true
 ORDER BY p.contact_id;
