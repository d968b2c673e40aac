-- reporting: what calls came to, by hour, by try, by day; since a day (UTC), of one campaign or all. From the tallies:
-- no call is looked at.

-- name: by_hour(campaign, since)
-- Reported calls by the hour of the day where the person is, and how many were answered.
select t.hour::int as hour, sum(t.calls)::bigint as calls,
       coalesce(sum(t.calls) filter (where t.disposition = 'answered'), 0)::bigint as answered, sum(t.credits) as credits
from call_counts t join campaigns p on p.id = t.campaign_id
where t.state = 'reported' and t.day >= :since and (:campaign::text is null or p.name = :campaign)
group by 1 order by 1;

-- name: by_try(campaign, since)
-- What the first, the second, the nth call of a contact came to.
select t.number as try, sum(t.calls)::bigint as calls,
       coalesce(sum(t.calls) filter (where t.disposition = 'answered'), 0)::bigint as answered,
       sum(t.successes)::bigint as successes, sum(t.credits) as credits
from call_counts t join campaigns p on p.id = t.campaign_id
where t.state in ('reported', 'unreported') and t.day >= :since and (:campaign::text is null or p.name = :campaign)
group by 1 order by 1;

-- name: by_day(campaign, since)
-- Calls and credits of each day, UTC.
select t.day, sum(t.calls)::bigint as calls,
       coalesce(sum(t.calls) filter (where t.disposition = 'answered'), 0)::bigint as answered, sum(t.credits) as credits
from call_counts t join campaigns p on p.id = t.campaign_id
where t.state in ('reported', 'unreported') and t.day >= :since and (:campaign::text is null or p.name = :campaign)
group by 1 order by 1;

-- name: by_disposition(campaign, since)
-- How calls ended.
select coalesce(t.disposition, t.state) as disposition, sum(t.calls)::bigint as calls, sum(t.credits) as credits
from call_counts t join campaigns p on p.id = t.campaign_id
where t.day >= :since and (:campaign::text is null or p.name = :campaign)
group by 1 order by 2 desc, 1;

-- name: fold_contacts()!
-- What was appended joins what is folded; whoever else folds takes other rows.
with taken as (
  delete from contact_changes
  where ctid = any(array(select ctid from contact_changes limit 10000 for update skip locked))
  returning *
)
insert into contact_tallies
select campaign_id, state, disposition, reason, called, sum(contacts) from taken group by 1, 2, 3, 4, 5
having sum(contacts) <> 0
order by 1, 2, 3, 4, 5
on conflict (campaign_id, state, disposition, reason, called)
do update set contacts = contact_tallies.contacts + excluded.contacts;

-- name: fold_calls()!
with taken as (
  delete from call_changes
  where ctid = any(array(select ctid from call_changes limit 10000 for update skip locked))
  returning *
)
insert into call_tallies
select campaign_id, day, hour, number, state, disposition, sum(calls), sum(successes), sum(uncosted), sum(credits)
from taken group by 1, 2, 3, 4, 5, 6
order by 1, 2, 3, 4, 5, 6
on conflict (campaign_id, day, hour, number, state, disposition)
do update set calls = call_tallies.calls + excluded.calls, successes = call_tallies.successes + excluded.successes,
              uncosted = call_tallies.uncosted + excluded.uncosted, credits = call_tallies.credits + excluded.credits;

-- name: forget_zeros()!
-- Kinds of which there is none any more.
with gone as (delete from call_tallies where calls = 0)
delete from contact_tallies where contacts = 0;
