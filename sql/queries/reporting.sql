-- reporting: what calls came to, by hour, by try, by day; since an instant, of one campaign or all.

-- name: by_hour(campaign, since)
-- Reported calls by the hour of the day where the person is, and how many were answered.
select extract(hour from a.began_at at time zone coalesce(c.zones[1], 'UTC'))::int as hour, count(*) as calls,
       count(*) filter (where a.disposition = 'answered') as answered, coalesce(sum(a.credits), 0) as credits
from attempts a join contacts c on c.id = a.contact_id join campaigns p on p.id = a.campaign_id
where a.state = 'reported' and a.began_at >= :since and (:campaign::text is null or p.name = :campaign)
group by 1 order by 1;

-- name: by_try(campaign, since)
-- What the first, the second, the nth call of a contact came to.
select a.number as try, count(*) as calls, count(*) filter (where a.disposition = 'answered') as answered,
       count(*) filter (where a.success) as successes, coalesce(sum(a.credits), 0) as credits
from attempts a join campaigns p on p.id = a.campaign_id
where a.state in ('reported', 'unreported') and a.began_at >= :since and (:campaign::text is null or p.name = :campaign)
group by 1 order by 1;

-- name: by_day(campaign, since)
-- Calls and credits of each day, UTC.
select date_trunc('day', a.began_at at time zone 'UTC')::date as day, count(*) as calls,
       count(*) filter (where a.disposition = 'answered') as answered, coalesce(sum(a.credits), 0) as credits
from attempts a join campaigns p on p.id = a.campaign_id
where a.state in ('reported', 'unreported') and a.began_at >= :since and (:campaign::text is null or p.name = :campaign)
group by 1 order by 1;

-- name: by_disposition(campaign, since)
-- How calls ended.
select coalesce(a.disposition, a.state) as disposition, count(*) as calls, coalesce(sum(a.credits), 0) as credits
from attempts a join campaigns p on p.id = a.campaign_id
where a.began_at >= :since and a.state not in ('dialing', 'placed', 'unknown')
  and (:campaign::text is null or p.name = :campaign)
group by 1 order by 2 desc, 1;
