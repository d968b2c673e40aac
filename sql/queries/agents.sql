-- agents: their pauses. buckets: their pace, and that of campaigns. daemons: who is alive.

-- name: ensure_agents(names, now)!
-- Make the rows of the agents that the settings name.
insert into agents (name, changed_at) select unnest(:names::text[]), :now on conflict do nothing;

-- name: ensure_buckets(keys, now)!
-- Make the buckets' rows, full since now.
insert into buckets (key, next_at) select unnest(:keys::text[]), :now on conflict do nothing;

-- name: lock_agent(name)^
-- The agent's bucket locked: the gates of one agent pass one at a time, over all daemons. Its pauses are locked too,
-- so that who waited for the bucket reads them as they are now, and a pause that has committed lets nobody pass.
select a.state, a.reason, a.blocked_until, a.strain, a.slowed, a.slowed_at, b.next_at
from agents a join buckets b on b.key = 'agent:' || a.name
where a.name = :name
for update of b for share of a;

-- name: lock_overall(key)^
-- The ceiling of all agents: whoever counts against it passes one at a time. After the agent's own bucket, always.
select key from buckets where key = :key for update;

-- name: pause_agent(name, reason, key_mark, now)^
-- Stop ringing for this agent until a person resumes it or its key changes; no row: it was paused already.
update agents set state = 'paused', reason = :reason, key_mark = :key_mark, changed_at = :now
where name = :name and state = 'active'
returning name;

-- name: resume_agent(name, now)^
-- Ring again for this agent; no row: it was not paused.
update agents set state = 'active', reason = '', blocked_until = null, strain = 0, slowed = 1, slowed_at = null, changed_at = :now
where name = :name and (state = 'paused' or blocked_until is not null)
returning name;

-- name: resume_rekeyed_agent(name, key_mark, now)^
-- Ring again for an agent that was paused under another key; the mark * is lifted by none.
update agents set state = 'active', reason = '', changed_at = :now
where name = :name and state = 'paused' and key_mark not in (:key_mark, '*')
returning name;

-- name: read_strain(name)^
-- How strained an agent is, locked.
select strain, slowed, slowed_at, blocked_until from agents where name = :name for update;

-- name: block_agent(name, until, reason, strain, slowed, now)!
-- Ring nobody for this agent before an instant, then probe, and go on more slowly.
update agents
set blocked_until = greatest(blocked_until, :until::timestamptz), reason = :reason, strain = :strain, slowed = :slowed,
    slowed_at = :now, changed_at = :now
where name = :name;

-- name: block_others(name, until, since, reason, now)
-- Two agents are refused at once: it is the address that is limited, so all rest. Those that rest already are left.
update agents a
set blocked_until = :until, strain = greatest(a.strain, 1), reason = :reason, changed_at = :now
where a.name <> :name and (a.blocked_until is null or a.blocked_until < :until)
  and exists (select 1 from agents o where o.name <> :name and o.strain > 0 and o.blocked_until >= :since)
returning a.name;

-- name: probe_agent(name, until)!
-- A probe goes out: nobody else, until its answer is known.
update agents set blocked_until = :until where name = :name;

-- name: ease_agent(name, reported, silence, now)^
-- A call was placed: the strain is over, and the rate grows back from now on. No row: there was none, or it is for want
-- of reports, which only a report ends.
update agents set strain = 0, blocked_until = null, slowed_at = :now, reason = '', changed_at = :now
where name = :name and strain > 0 and (:reported::boolean or not starts_with(reason, :silence))
returning name;

-- name: silent_agents(since, least)
-- Agents whose calls have been over for long, without any report since: so many wait for one.
with heard as materialized (
  select g.name, h.at from agents g join agents_heard h on h.name = g.name where g.strain = 0 and g.state = 'active'
)
select h.name as agent, w.calls
from heard h
-- By their ids, in order of time: of who is heard there are none to be looked at.
cross join lateral (
  select count(*) as calls from attempts a
  where a.id >= first_id(greatest(h.at, :since::timestamptz - interval '1 day'))
    and a.id < first_id(:since::timestamptz + interval '1 ms')
    and a.agent = h.name and a.state in ('placed', 'unreported') and a.began_at > coalesce(h.at, '-infinity')
) w
where w.calls >= :least;

-- name: heard_agents(silence)
-- Agents that rest for want of reports, and have had one since.
select g.name from agents g join agents_heard h on h.name = g.name
where g.strain > 0 and starts_with(g.reason, :silence) and h.at > g.changed_at;

-- name: list_agents()
-- Every agent, by name.
select name, state, reason, blocked_until, strain, slowed, slowed_at, changed_at from agents order by name;

-- name: beat(id, host, pid, now)!
-- A daemon says that it is alive.
insert into daemons (id, host, pid, started_at, seen_at) values (:id, :host, :pid, :now, :now)
on conflict (id) do update set seen_at = excluded.seen_at, left_at = null;

-- name: leave(id, now)!
-- A daemon says goodbye. Its row stays: it tells since when nobody was there.
update daemons set seen_at = :now, left_at = :now where id = :id;

-- name: last_alive()$
-- When a daemon was last seen. Locked against other beats, so that one of several that come back finds the silence.
with locked as (select seen_at from daemons order by id for update) select max(seen_at) from locked;

-- name: living_daemons(since)
-- The daemons seen since an instant.
select id, host, pid, started_at, seen_at from daemons where seen_at >= :since and left_at is null order by started_at;

-- name: forget_daemons(before)!
-- Drop the rows of daemons long gone.
delete from daemons where seen_at < :before;

-- name: traffic(since)
-- Of each agent: requests sent since an instant, and calls that may still be on the phone.
select g.name, coalesce(sum(begun.number), 0)::int as begun, coalesce(sum(live.number), 0)::int as live,
       min(b.next_at) as next_at
from agents g
left join buckets b on b.key = 'agent:' || g.name
left join campaigns p on p.agent = g.name
left join lateral (
  select count(*) as number from attempts a
  where a.campaign_id = p.id and a.began_at > :since and a.state <> 'aborted'
) begun on true
left join lateral (
  select count(*) as number from attempts a
  where a.campaign_id = p.id and a.agent = g.name and a.state in ('dialing', 'placed', 'unknown')
) live on true
group by g.name;
