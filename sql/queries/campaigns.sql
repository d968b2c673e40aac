-- campaigns: a definition and its state.
--
--   apply            inserts a draft, or a new version of what is there
--   start            draft, paused, finished -> active
--   pause, resume    active <-> paused
--   stop             draft, active, paused -> stopped, and what waits is closed
--   finish           active -> finished, when every contact is closed
--
-- campaign_versions keeps each version; starts keeps each start that the schedule asked for.

-- name: find_campaign(name)^
-- One campaign with the definition in force.
select c.id, c.name, c.agent, c.state, c.reason, c.version, c.changed_at, v.definition, v.checksum
from campaigns c
join campaign_versions v on v.campaign_id = c.id and v.version = c.version
where c.name = :name;

-- name: get_campaigns(ids)
-- The campaigns with these ids, with the definitions in force.
select c.id, c.name, c.agent, c.state, c.reason, c.version, c.changed_at, v.definition, v.checksum
from campaigns c
join campaign_versions v on v.campaign_id = c.id and v.version = c.version
where c.id = any(:ids::uuid[]);

-- name: list_campaigns()
-- Every campaign, by name.
select c.id, c.name, c.agent, c.state, c.reason, c.version, c.changed_at, v.definition, v.checksum
from campaigns c
join campaign_versions v on v.campaign_id = c.id and v.version = c.version
order by c.name;

-- name: paused_by_fault()
-- Campaigns that a fault has paused, by name.
select c.name, c.agent, c.reason, c.changed_at
from campaigns c
where c.state = 'paused'
  and 'dialer' = (select h.actor from history h
                  where h.campaign_id = c.id and h.contact_id is null and h.state = 'paused' and h.reason = c.reason
                  order by h.id desc limit 1)
order by c.name;

-- name: survey(agent, now, longest)
-- What the gate may take contacts from: each active campaign of an agent, what it holds and when it has more. Locked, so
-- that after a pause has committed nobody passes, and the version stays in force until the gate has closed. One
-- statement, for a report moves credits from reserved to spent in one commit: two readings could miss them in both.
-- A campaign's live attempts may be another agent's, that it had before; agent_live are all of this agent's. Whoever
-- waits for a person's word (strict) holds a line no longer than a call may last.
with active as (
  select id, version, held, held_until, warned_at from campaigns
  where agent = :agent and state = 'active' order by id for share
), held as (
  select campaign_id, count(*) as live, sum(reserved) as reserved,
         count(*) filter (where on_line) as lines, count(*) filter (where on_line and agent = :agent) as own
  from attempts,
       lateral (select resolve_at is not null or began_at > :now::timestamptz - :longest::interval as on_line) o
  where state in ('dialing', 'placed', 'unknown') group by campaign_id
)
select c.id, c.version, coalesce(s.spent, 0) as spent, coalesce(s.successes, 0) as successes, s.price,
       c.held, c.held_until, c.warned_at, coalesce(h.live, 0) as live, coalesce(h.lines, 0) as lines,
       coalesce(h.reserved, 0) as reserved, b.next_at, n.due_at as next_due,
       -- The order binds it to its index: as "exists" it took 80 ms with a million who wait.
       coalesce((select k.due_at <= :now from contacts k where k.campaign_id = c.id and k.state = 'waiting'
                 order by k.due_at, k.id limit 1), false) as due,
       (select coalesce(sum(own), 0)::bigint from held) as agent_live
from active c
left join held h on h.campaign_id = c.id
left join spend s on s.campaign_id = c.id
left join buckets b on b.key = 'campaign:' || c.id
left join lateral (
  select k.due_at from contacts k
  where k.campaign_id = c.id and k.state = 'waiting' and k.due_at > :now and k.due_at <> 'infinity'
  order by k.due_at, k.id limit 1
) n on true
order by c.id;

-- name: hold_campaign_by_budget(id, held, until, actor, now)!
-- The budget keeps an active campaign from calling, or does so no more; told once.
with held as (
  update campaigns set held = :held, held_until = :until where id = :id and (held, held_until) is distinct from (:held, :until)
  returning id, state
)
insert into history (at, actor, campaign_id, state, reason)
select :now, :actor, id, state, case when :held = '' then 'held no more' else 'held: ' || :held end from held;

-- name: warn_campaign(id, reason, since, actor, now)^
-- Most of a budget is spent; no row: that was said since the period began.
with warned as (
  update campaigns set warned_at = :now where id = :id and (warned_at is null or warned_at < :since)
  returning id, state
), told as (
  insert into history (at, actor, campaign_id, state, reason) select :now, :actor, id, state, :reason from warned
)
select id from warned;

-- name: spent(campaign_id)$
-- What its calls have cost.
select coalesce((select spent from spend where campaign_id = :campaign_id), 0);

-- name: successes(ids)
-- How many of their attempts came to what these campaigns want; no row: none yet.
select campaign_id, successes from spend where campaign_id = any(:ids::uuid[]);

-- name: to_end()
-- Campaigns that may have something to close: active ones, and stopped ones in which somebody waits again.
select c.id, c.state, c.version from campaigns c
where c.state = 'active'
   or (c.state = 'stopped' and (select k.id from contacts k where k.campaign_id = c.id and k.state = 'waiting'
                                order by k.due_at, k.id limit 1) is not null)
order by c.id;

-- name: campaign_versions(ids)
-- The versions in force.
select id, version from campaigns where id = any(:ids::uuid[]);

-- name: lock_campaign(name)^
-- One campaign, locked against every other change of its state. No key update: a gate that inserts attempts, and holds
-- contacts that a stop is about to close, need not wait for it.
select c.id, c.state, c.version, c.agent from campaigns c where c.name = :name for no key update;

-- name: insert_campaign(id, name, agent, now)!
-- A new campaign begins as a draft.
insert into campaigns (id, name, agent, state, version, created_at, changed_at)
values (:id, :name, :agent, 'draft', 1, :now, :now);

-- name: insert_version(campaign_id, version, definition, source, checksum, actor, now)!
-- Keep an applied version for good.
insert into campaign_versions (campaign_id, version, definition, source, checksum, applied_at, actor)
values (:campaign_id, :version, :definition, :source, :checksum, :now, :actor);

-- name: set_version(campaign_id, version, agent, now)!
-- Put a version into force.
update campaigns set version = :version, agent = :agent, changed_at = :now where id = :campaign_id;

-- name: move_campaign(campaign_id, from_states, state, reason, now)^
-- Change the state of a campaign that is in one of from_states; no row: someone else moved it.
update campaigns set state = :state, reason = :reason, changed_at = :now
where id = :campaign_id and state = any(:from_states::text[])
returning id;

-- name: lock_finishable(lasting)
-- Active campaigns that have contacts, none of them open, and are not in the list of those that go on: locked, which
-- waits for an import that is filling one.
select c.id
from campaigns c
where c.state = 'active'
  and c.id <> all(:lasting::uuid[])
  -- The orders bind these to their indexes: as "exists" they took half a second with a million who wait.
  and (select k.id from contacts k where k.campaign_id = c.id order by k.key limit 1) is not null
  and (select k.id from contacts k where k.campaign_id = c.id and k.state <> 'closed' order by k.phone limit 1) is null
order by c.id
for no key update;

-- name: finish_campaigns(ids, now)
-- Finish those that still have no open contact, now that nobody can add one.
update campaigns c set state = 'finished', reason = 'every contact is closed', changed_at = :now
where c.id = any(:ids::uuid[]) and c.state = 'active'
  and (select k.id from contacts k where k.campaign_id = c.id and k.state <> 'closed' order by k.phone limit 1) is null
returning c.id, c.name;

-- name: insert_start(campaign_id, occasion, scheduled_for, now)^
-- Claim one start of the schedule; no row: it was fired already.
insert into starts (campaign_id, occasion, scheduled_for, fired_at, released)
values (:campaign_id, :occasion, :scheduled_for, :now, 0)
on conflict do nothing
returning campaign_id;

-- name: count_released(campaign_id, occasion, released)!
-- Say how many contacts a start released.
update starts set released = :released where campaign_id = :campaign_id and occasion = :occasion;

-- name: last_start(campaign_id)$
-- When the schedule last asked for a start.
select max(scheduled_for) from starts where campaign_id = :campaign_id;

-- name: applied_at(campaign_id)$
-- When the schedule in force was applied: no start of it before that can have been missed. Versions that left the times
-- of the starts as they were do not count.
select min(v.applied_at) from campaign_versions v
where v.campaign_id = :campaign_id and v.version > coalesce((
  select max(o.version) from campaign_versions o
  join campaigns c on c.id = o.campaign_id
  join campaign_versions f on f.campaign_id = c.id and f.version = c.version
  where o.campaign_id = :campaign_id
    and (o.definition -> 'schedule') - 'ends' is distinct from (f.definition -> 'schedule') - 'ends'), 0);

-- name: campaign_counts(campaign_id)
-- Contacts by state and disposition.
select state, disposition, reason, sum(contacts)::bigint as contacts
from contact_counts where campaign_id = :campaign_id
group by state, disposition, reason order by state, disposition, contacts desc;

-- name: campaign_progress(names)
-- Contacts by state, live attempts and spend of each campaign named, or of all.
select c.name, c.agent, c.state, c.version, coalesce(nullif(c.held, ''), c.reason) as reason,
       coalesce(k.waiting, 0) as waiting, coalesce(k.calling, 0) as calling, coalesce(k.closed, 0) as closed,
       coalesce(k.called, 0) as called, coalesce(k.spoken, 0) as spoken, coalesce(s.successes, 0) as successes,
       k.next_due, coalesce(s.spent, 0) as spent
from campaigns c
left join lateral (
  select sum(contacts) filter (where state = 'waiting')::bigint as waiting,
         sum(contacts) filter (where state = 'calling')::bigint as calling,
         sum(contacts) filter (where state = 'closed')::bigint as closed,
         sum(contacts) filter (where called)::bigint as called,
         sum(contacts) filter (where disposition in ('answered', 'callback_requested', 'do_not_call'))::bigint as spoken,
         (select min(w.due_at) from contacts w where w.campaign_id = c.id and w.state = 'waiting') as next_due
  from contact_counts where campaign_id = c.id
) k on true
left join spend s on s.campaign_id = c.id
where :names::text[] is null or c.name = any(:names::text[])
order by c.name;

-- name: pulse(now)$
-- What differs once anything has happened: every change of state is said, every chunk of an import and its end
-- counted; a report may match nothing, and a notice is sent without a word.
select concat((select max(h.id) from history h), ' ', (select r.id from reports r order by r.id desc limit 1), ' ',
              (select concat(count(*), ' ', min(n.due_at)) from (select o.due_at from outbox o where o.state = 'waiting'
                                                                 order by o.due_at limit 1000) n), ' ',
              (select count(*) + count(i.ended_at) + coalesce(sum(i.read), 0) from imports i where i.told_at > :now::timestamptz - interval '1 hour'
                  and i.started_at > :now::timestamptz - interval '1 day'));

-- name: gauges(now)
-- Of each campaign that calls: live calls, who is due by now and since when the first, and what is spent.
select p.name, due.first, due.number, live.number as live, coalesce(s.spent, 0) as spent
from campaigns p
left join spend s on s.campaign_id = p.id
cross join lateral (
  select min(d.due_at) as first, count(*) as number
  from (select c.due_at from contacts c where c.campaign_id = p.id and c.state = 'waiting' and c.due_at <= :now
        order by c.due_at limit 1000) d
) due
cross join lateral (
  select count(*) as number from attempts a where a.campaign_id = p.id and a.state in ('dialing', 'placed', 'unknown')
) live
where p.state in ('active', 'paused') order by p.name;

-- name: campaign_source(name)^
-- The file in force, as it was applied.
select p.version, v.source from campaigns p join campaign_versions v on v.campaign_id = p.id and v.version = p.version
where p.name = :name;
