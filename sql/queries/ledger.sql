-- ledger: append-only credit entries. spend, spend_quarters: the same, summed by a trigger in the same statement.
--
--   apply    one 'report' entry for each report, written with it (reports.sql): on its campaign, or in suspense
--            (campaign_id null)
--   replay   a pair of 'transfer' entries: out of suspense, into the campaign

-- name: book(ids, campaigns, agents, reports, attempts, kinds, credits, actor, reason, now)!
-- Write entries.
insert into ledger (id, campaign_id, agent, report_id, attempt_id, kind, credits, booked_at, actor, reason)
select id, campaign_id, agent, report_id, attempt_id, kind, credits, :now, :actor, :reason
from unnest(:ids::uuid[], :campaigns::uuid[], :agents::text[], :reports::uuid[], :attempts::uuid[], :kinds::text[],
            :credits::numeric[])
  as e(id, campaign_id, agent, report_id, attempt_id, kind, credits);

-- name: spent_since(agent, since)$
-- What an agent, or all have spent since the beginning of a quarter of an hour.
select coalesce(sum(spent), 0) from spend_quarters
where (:agent::text is null or agent = :agent) and at >= :since;

-- name: spent_by_each(campaigns, sinces)
-- What each campaign has spent since the beginning of a quarter of an hour.
select q.campaign_id, coalesce(sum(s.spent), 0) as spent
from unnest(:campaigns::uuid[], :sinces::timestamptz[]) as q(campaign_id, since)
left join spend_quarters s on s.campaign_id = q.campaign_id and s.at >= q.since
group by q.campaign_id;

-- name: reserved_now(agent)$
-- What is set aside for live attempts of an agent, or of all.
select coalesce(sum(reserved), 0) from attempts
where state in ('dialing', 'placed', 'unknown') and (:agent::text is null or agent = :agent);

-- name: learn_prices(least, most)!
-- What nineteen of twenty calls of a campaign cost no more than, from its last reports; none until there are enough.
update spend s set price = p.price
from (
  select c.id, (
    select case when count(*) >= :least then percentile_cont(0.95) within group (order by credits)::numeric(18, 6) end
    from (select a.credits from attempts a
          where a.campaign_id = c.id and a.state = 'reported' and a.credits is not null
          order by a.began_at desc limit :most) a
  ) as price
  from campaigns c where c.state = 'active'
) p
where s.campaign_id = p.id and p.price is not null and s.price is distinct from p.price;

-- name: spend_by_campaign(campaign)
-- The account of each campaign: sums that the transactions of the ledger and of the calls keep.
select p.name as campaign, p.agent, p.state, coalesce(s.spent, 0) as spent, live.reserved, v.definition, s.price,
       closed.unreported, live.calls + closed.calls as attempts, closed.answered,
       coalesce(s.successes, 0) as successes, p.held, p.held_until
from campaigns p
join campaign_versions v on v.campaign_id = p.id and v.version = p.version
left join spend s on s.campaign_id = p.id
cross join lateral (
  select coalesce(sum(a.reserved), 0) as reserved, count(*) as calls from attempts a
  where a.campaign_id = p.id and a.state in ('dialing', 'placed', 'unknown')
) live
cross join lateral (
  select coalesce(sum(t.calls) filter (where t.state not in ('not_placed', 'aborted')), 0)::bigint as calls,
         coalesce(sum(t.calls) filter (where t.disposition = 'answered'), 0)::bigint as answered,
         coalesce(sum(t.uncosted), 0)::bigint as unreported
  from call_counts t where t.campaign_id = p.id
) closed
where :campaign::text is null or p.name = :campaign
order by p.name;

-- name: suspense()^
-- The suspense account: credits of authentic reports that belong to no attempt of ours.
select coalesce(sum(credits), 0) as credits, count(distinct report_id) as reports from ledger where campaign_id is null;

-- name: spent_today(campaigns, since)
-- What each campaign has spent since the beginning of its own day.
select w.name as campaign, coalesce(sum(q.spent), 0) as spent
from unnest(:campaigns::text[], :since::timestamptz[]) as w(name, since)
join campaigns p on p.name = w.name
left join spend_quarters q on q.campaign_id = p.id and q.at >= w.since
group by w.name;
