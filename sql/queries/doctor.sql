-- doctor: what the provider was seen to do, from the last calls of an agent.

-- name: calls_seen(agent, most)
-- The last calls of each campaign of the agent, with what came of them; waits in seconds.
select a.http_status, a.state, a.cause, a.marks, a.disposition, a.credits,
       extract(epoch from a.answered_at - a.slot_at)::float8 as answered_in,
       extract(epoch from a.closed_at - a.began_at)::float8 as lasted,
       a.began_at, r.rule, r.form, r.received_at, r.body
from campaigns p
cross join lateral (
  select * from attempts x where x.campaign_id = p.id and x.agent = :agent order by x.began_at desc limit :most
) a
left join reports r on r.id = a.report_id
where p.agent = :agent or exists (select 1 from attempts y where y.campaign_id = p.id and y.agent = :agent)
order by a.began_at desc
limit :most;

-- name: reports_seen(agent, looked)
-- Of the latest reports of all, those of the agent, by what became of them.
select r.state, count(*) as reports
from (select agent, state from reports order by id desc limit :looked) r
where r.agent = :agent group by r.state;
