-- audit: the invariants. Any row is a fault: what is wrong, and why.
--
-- Each is one statement, so that it sees one instant, and gives at most :most rows, so that it can run on a live system.
-- Those that follow rows one by one look at the :newest, or at those from the id :first on, for ids are in order of time;
-- sums are compared with the tallies that triggers keep of the rows. From the least id on, and looked at :whole, all rows
-- are read, which takes as long as the tables are large. (Not "where :whole or id in (…)": such an or reads all rows to
-- find few.) What needs zones or calendars is asked of Python (dialer.engine.audit): begun, rung and called give it the
-- attempts, in pages by id.

-- name: i1_stored_once(newest, most)
-- A report's key is kept for good, and a revision has what it revises.
with news as materialized (select id, agent, type, key, state from reports order by id desc limit :newest)
select what, why from (
  select format('report %s', r.id) as what, format('its key is stored again as %s', o.id) as why
  from news r join reports o on o.agent = r.agent and o.type = r.type and o.key = r.key and o.state <> 'revision'
  where r.state <> 'revision' and o.id <> r.id
  union all
  select format('report %s', r.id), 'a revision of nothing'
  from news r
  where r.state = 'revision'
    and not exists (select 1 from reports o
                    where o.agent = r.agent and o.type = r.type and o.key = r.key and o.state <> 'revision')
) faults
limit :most;

-- name: i2_booked_once(newest, most)
-- A report and its attempt know one another, and what the report booked.
with news as materialized (
  select id, state, attempt_id, credits from reports order by id desc limit :newest
), tries as materialized (
  select id, state, report_id from attempts order by id desc limit :newest
), entries as materialized (
  select report_id, kind from ledger order by id desc limit :newest
)
select what, why from (
  select format('report %s', report_id) as what, format('booked %s times', count(*)) as why
  from entries where kind = 'report' group by report_id having count(*) > 1
  union all
  select format('attempt %s', attempt_id), format('%s applied reports', count(*))
  from news where state = 'applied' group by attempt_id having count(*) > 1
  union all
  select format('report %s', r.id),
         case when a.state is distinct from 'reported' or a.report_id is distinct from r.id
              then format('applied to attempt %s, which is %s by report %s', r.attempt_id, coalesce(a.state, 'missing'),
                          coalesce(a.report_id::text, 'none'))
              else format('says %s credits, its attempt %s', coalesce(r.credits::text, 'no'),
                          coalesce(a.credits::text, 'no')) end
  from news r left join attempts a on a.id = r.attempt_id
  where r.state = 'applied'
    and (a.state is distinct from 'reported' or a.report_id is distinct from r.id or a.credits is distinct from r.credits)
  union all
  select format('attempt %s', a.id), 'reported, but its report is not applied to it'
  from tries a left join reports r on r.id = a.report_id
  where a.state = 'reported' and (r.state is distinct from 'applied' or r.attempt_id is distinct from a.id)
) faults
limit :most;

-- name: i3_spend_is_the_ledger(newest, most, whole)
-- Sums are those of the ledger, and a report's credits lie where the report lies: with its attempt's campaign, or in
-- suspense. What a person corrects is beside what reports say. A report's entries are never older than the report.
with entries as (
  select campaign_id, sum(credits) as credits from ledger
  where :whole::boolean and campaign_id is not null group by campaign_id
), calls as (
  select campaign_id, sum(credits) as credits, sum(successes) as successes from call_counts group by campaign_id
), corrections as (
  select campaign_id, sum(credits) as credits from ledger
  where kind = 'correction' and campaign_id is not null group by campaign_id
), sums as (
  select campaign_id, coalesce(s.spent, 0) as spent, coalesce(s.successes, 0) as successes,
         coalesce(c.credits, 0) + coalesce(k.credits, 0) as credits, coalesce(c.successes, 0) as told
  from calls c full join corrections k using (campaign_id) full join spend s using (campaign_id)
), news as materialized (
  select id, state, attempt_id, credits, received_at from reports order by id desc limit :newest
), accounts as (
  select report_id, sum(credits) as credits, coalesce(sum(credits) filter (where campaign_id is null), 0) as suspense,
         min(campaign_id::text) as campaign, count(distinct campaign_id) as campaigns
  from ledger
  where kind <> 'correction'
    and id >= (select first_id(min(received_at)) from news)
  group by report_id
)
select what, why from (
  select format('campaign %s', coalesce(e.campaign_id, s.campaign_id)) as what,
         format('ledger %s, spend %s', coalesce(e.credits, 0), coalesce(s.spent, 0)) as why
  from entries e full join spend s on s.campaign_id = e.campaign_id
  where :whole::boolean and coalesce(e.credits, 0) <> coalesce(s.spent, 0)
  union all
  select format('campaign %s', campaign_id),
         format('its calls and corrections came to %s, spend %s', credits, spent)
  from sums where credits <> spent
  union all
  select format('campaign %s', campaign_id), format('%s successes counted, its attempts have %s', successes, told)
  from sums where successes <> told
  union all
  select format('campaign %s', s.campaign_id),
         format('%s successes counted, its attempts have %s', s.successes, count(a.id))
  from spend s left join attempts a on a.campaign_id = s.campaign_id and a.success
  where :whole::boolean
  group by s.campaign_id, s.successes
  having s.successes <> count(a.id)
  union all
  select format('report %s', r.id),
         format('%s, says %s credits, booked %s, of them in suspense %s', r.state, r.credits, coalesce(b.credits, 0),
                coalesce(b.suspense, 0))
  from news r left join accounts b on b.report_id = r.id
  where coalesce(b.credits, 0) <> case when r.state in ('quarantined', 'revision') then 0 else coalesce(r.credits, 0) end
     or coalesce(b.suspense, 0) <> case when r.state in ('unmatched', 'ignored') then coalesce(r.credits, 0) else 0 end
  union all
  select format('report %s', r.id), format('booked on campaign %s, its attempt is of %s', b.campaign, a.campaign_id)
  from news r
  join accounts b on b.report_id = r.id
  join attempts a on a.id = r.attempt_id
  where b.campaigns > 1 or b.campaign <> a.campaign_id::text
) faults
limit :most;

-- name: i4_reserved_while_live(first, most)
-- Credits are set aside for an attempt exactly while it is live.
select format('attempt %s', id) as what, format('%s with %s credits reserved', state, reserved) as why
from (
  select id, state, reserved from attempts where id >= :first
  union
  select id, state, reserved from attempts where state in ('dialing', 'placed', 'unknown')
) a
where (state in ('dialing', 'placed', 'unknown')) <> (reserved > 0)
limit :most;

-- name: i5_one_live(most)
-- One live attempt for a contact and for a number, and a contact is calling exactly while it has one.
with live as (
  select id, contact_id, phone from attempts where state in ('dialing', 'placed', 'unknown')
)
select what, why from (
  select format('contact %s', coalesce(c.id, l.contact_id)) as what,
         format('%s, live attempts: %s', case when c.id is null then 'not calling' else 'calling' end,
                coalesce(l.attempts, 0)) as why
  from (select id from contacts where state = 'calling') c
  full join (select contact_id, count(*) as attempts from live group by contact_id) l on l.contact_id = c.id
  where c.id is null or l.attempts is distinct from 1
  union all
  select format('attempt %s', min(id::text)), format('%s live attempts of its number', count(*))
  from live group by phone having count(*) > 1
) faults
limit :most;

-- name: i6_attempt_limit(first, most)
-- The gate let no attempt pass that the limit of its version did not allow: after it, attempts ≤ max_attempts. What was
-- spared as a 500 and reported after that gate counted too late to be known there. And the counts are those of the rows.
with limits as materialized (
  select campaign_id, version, (definition #>> '{cadence,max_attempts}')::int as allowed from campaign_versions
), strictest as (
  select campaign_id, min(allowed) as allowed from limits group by campaign_id
), called as materialized (
  select distinct contact_id as id from attempts where id >= :first
), tried as (
  select contact_id, count(*) as tries,
         count(*) filter (where state not in ('not_placed', 'aborted')
                            and not (state = 'unreported' and cause = 'server_error' and disposition is null)) as rang
  from attempts where contact_id in (select id from called) group by contact_id
)
select what, why from (
  select format('contact %s', c.id) as what,
         format('%s attempts, allowed are %s, and %s became known too late', c.attempts, l.allowed, late.times) as why
  from contacts c
  join strictest s on s.campaign_id = c.campaign_id and c.attempts > s.allowed
  join attempts a on a.contact_id = c.id and a.number = c.tries
  join limits l on l.campaign_id = c.campaign_id and l.version = a.campaign_version
  cross join lateral (
    select count(*) as times from attempts e
    where e.contact_id = c.id and e.number < a.number and e.cause = 'server_error' and e.state = 'reported'
      and e.closed_at >= a.began_at
  ) late
  where c.attempts > l.allowed + late.times and c.id in (select id from called)
  union all
  select format('contact %s', c.id),
         format('counts %s tries and %s attempts, but has %s and at least %s', c.tries, c.attempts, t.tries, t.rang)
  from contacts c join tried t on t.contact_id = c.id
  where c.tries <> t.tries or c.attempts < t.rang
) faults
limit :most;

-- name: rung(after, most)
-- I6: attempts under a cap a day, whose number had so many calls before, in the 50 hours that a local day can touch.
with caps as materialized (
  select campaign_id, version, (definition #>> '{caps,per_number_per_day}')::int as cap
  from campaign_versions where definition #>> '{caps,per_number_per_day}' is not null
)
select a.id, k.zones, a.began_at, c.cap, b.earlier
from attempts a
join caps c on c.campaign_id = a.campaign_id and c.version = a.campaign_version
join contacts k on k.id = a.contact_id
cross join lateral (
  select array_agg(e.began_at) as earlier, count(*) as times from attempts e
  where e.phone = a.phone and e.began_at > a.began_at - interval '50 hours' and (e.began_at, e.id) < (a.began_at, a.id)
    and e.state not in ('not_placed', 'aborted')
) b
where a.id > :after and a.state not in ('not_placed', 'aborted') and b.times >= c.cap
order by a.id limit :most;

-- name: i6_caps_of_spans(first, most)
-- Nor more often than a cap of 7 or 30 days, or sooner than the least gap, that the attempt's version set.
with caps as materialized (
  select v.campaign_id, v.version, c.calls, c.span, c.said
  from campaign_versions v
  cross join lateral (values
    ((v.definition #>> '{caps,per_number_per_7_days}')::int, interval '7 days', '7 days'),
    ((v.definition #>> '{caps,per_number_per_30_days}')::int, interval '30 days', '30 days'),
    (case when v.definition #>> '{caps,least_gap}' is not null then 1 end,
     (v.definition #>> '{caps,least_gap}')::interval, 'the least gap')
  ) as c(calls, span, said)
  where c.calls is not null
)
select format('attempt %s', a.id) as what,
       format('call %s of its number within %s, the cap is %s', b.times + 1, c.said, c.calls) as why
from attempts a
join caps c on c.campaign_id = a.campaign_id and c.version = a.campaign_version
cross join lateral (
  select count(*) as times from attempts e
  where e.phone = a.phone and e.began_at > a.began_at - c.span and (e.began_at, e.id) < (a.began_at, a.id)
    and e.state not in ('not_placed', 'aborted')
) b
where a.id >= :first and a.state not in ('not_placed', 'aborted') and b.times >= c.calls
limit :most;

-- name: i7_not_suppressed(first, margin, most)
-- Nobody was called whose number was suppressed. A suppression may take :margin to commit; a gate that passed meanwhile
-- could not see it.
select format('attempt %s', a.id) as what,
       format('began %s after its number was suppressed: %s', a.began_at - s.added_at, s.reason) as why
from suppressions s
join attempts a on a.phone = s.phone and a.began_at > s.added_at + :margin::interval
  and (s.expires_at is null or a.began_at < s.expires_at)
  and (s.campaign_id is null or s.campaign_id = a.campaign_id)
where a.id >= :first
limit :most;

-- name: begun(after, most)
-- I7: attempts whose campaign's version shuts at times, with the zones of their contact.
with shut as materialized (
  select campaign_id, version from campaign_versions
  where (definition #>> '{window,always}')::boolean is not true or definition -> 'packs' <> '[]'
     or definition #>> '{schedule,starts}' is not null or definition #>> '{schedule,ends}' is not null
)
select a.id, a.campaign_id, a.campaign_version as version, a.began_at, k.zones, k.region, a.phone
from attempts a
join shut s on s.campaign_id = a.campaign_id and s.version = a.campaign_version
join contacts k on k.id = a.contact_id
where a.id > :after
order by a.id limit :most;

-- name: definitions(campaigns, versions)
-- Definitions of versions that were in force.
select v.campaign_id, v.version, v.definition
from campaign_versions v
join unnest(:campaigns::uuid[], :versions::int[]) as w(campaign_id, version)
  on w.campaign_id = v.campaign_id and w.version = v.version;

-- name: since(newest)$
-- When the so-manieth newest attempt began; ids are in order of time.
select began_at from attempts order by id desc offset :newest limit 1;

-- name: called(after, most)
-- I7: attempts, if any suppression is a digest: only Python can tell whose it is.
select id, campaign_id, phone, began_at from attempts
where id > :after and exists (select 1 from suppressions where digest is not null)
order by id limit :most;

-- name: barred(digests)
-- I7: those of these digests that are suppressed, and since when.
select digest, campaign_id, reason, added_at, expires_at from suppressions where digest = any(:digests::bytea[]);

-- name: i8_within_budget(since, first, margin, most)
-- At every gate: what was spent, what was reserved, and the attempt's own estimate were within the budget of its version.
-- Told from the rows: an attempt keeps what was set aside for it from its gate to its end. What was booked less than
-- :margin before a gate may have been committed after it, and is left out. What was spent before is the spend less what
-- was booked since. ``first`` is of a day before :since, for a call that is not live lasts no longer.
with versions as materialized (
  select campaign_id, version, (definition #>> '{budget,credits}')::numeric as credits
  from campaign_versions
  where campaign_id in (select campaign_id from campaign_versions where definition #>> '{budget,credits}' is not null)
), tries as materialized (
  select a.id, a.campaign_id, a.began_at, a.closed_at, v.credits, a.set_aside as estimate
  from (
    select * from attempts where id >= :first and (closed_at is null or closed_at >= :since)
    union all
    select * from attempts where id < :first and state in ('dialing', 'placed', 'unknown')
  ) a
  join versions v on v.campaign_id = a.campaign_id and v.version = a.campaign_version
), moments as (
  select campaign_id, booked_at + :margin::interval as at, 3 as rank, null::uuid as id, credits as change,
         null::numeric as allowed
  from ledger where campaign_id in (select campaign_id from versions) and booked_at >= :since - :margin::interval
  union all
  select s.campaign_id, '-infinity', 0, null,
         s.spent - coalesce((select sum(l.credits) from ledger l
                             where l.campaign_id = s.campaign_id and l.booked_at >= :since - :margin::interval), 0), null
  from spend s where s.campaign_id in (select campaign_id from versions)
  union all
  select campaign_id, began_at, 2, id, estimate, credits from tries
  union all
  select campaign_id, closed_at, 1, null, -estimate, null from tries where closed_at is not null
), sums as (
  select *, sum(change) over (partition by campaign_id order by at, rank, id) as committed from moments
)
select format('attempt %s', id) as what,
       format('%s credits spent or reserved with it, the budget is %s', committed, allowed) as why
from sums
where allowed is not null and committed > allowed and at >= :since
limit :most;

-- name: i9_everything_ends(now, first, margin, most)
-- A finished campaign has nothing open, a closed contact has its last attempt's disposition, and no live attempt waits
-- longer than its time while a daemon is there to look; without one the waits stand still. Only strict waits for ever.
select what, why from (
  select format('contact %s', c.id) as what, format('%s, but its campaign %s is finished', c.state, p.name) as why
  from campaigns p
  cross join lateral (
    select id, state from contacts where campaign_id = p.id and state <> 'closed' limit :most
  ) c
  where p.state = 'finished'
  union all
  select format('contact %s', c.id), format('closed without the disposition of its last attempt, %s', a.disposition)
  from contacts c join attempts a on a.contact_id = c.id and a.number = c.tries
  where c.state = 'closed' and c.disposition is null and a.disposition is not null
    and c.id in (select contact_id from attempts where id >= :first)
  union all
  select format('attempt %s', a.id), format('%s, should have been looked at %s ago', a.state, :now - a.resolve_at)
  from attempts a
  where a.state in ('dialing', 'placed', 'unknown') and a.resolve_at < :now - :margin::interval
    and exists (select 1 from daemons d
                where d.left_at is null and d.seen_at > :now - interval '15 seconds'
                  and d.started_at < :now - :margin::interval)
  union all
  select format('attempt %s', a.id), format('%s, and nobody will look at it', a.state)
  from attempts a
  where a.state in ('dialing', 'placed', 'unknown') and a.resolve_at is null
    and not exists (select 1 from campaign_versions v
                    where v.campaign_id = a.campaign_id
                      and 'strict' in (v.definition #>> '{provider,on_unknown}', v.definition #>> '{provider,on_500}'))
) faults
limit :most;

-- name: i10_one_request(newest, most)
-- The provider named each call once: two attempts with one call id would be one call asked for twice, or a mistake of
-- the provider's.
with tries as materialized (
  select id, provider_call_id from attempts where provider_call_id is not null order by id desc limit :newest
)
select format('attempt %s', a.id) as what, format('its call %s is that of %s too', a.provider_call_id, o.id) as why
from tries a join attempts o on o.provider_call_id = a.provider_call_id and o.id <> a.id
limit :most;

-- name: i11_second_call_is_marked(first, most)
-- The call after one that may have rung says so. Not: after its report, or after a person said that it rang.
select format('attempt %s', b.id) as what,
       format('follows %s, which was %s, and is not marked so', a.id, a.cause) as why
from attempts a
cross join lateral (
  select n.id, n.began_at, n.marks from attempts n
  where n.contact_id = a.contact_id and n.number > a.number and n.state not in ('not_placed', 'aborted')
  order by n.number limit 1
) b
where a.cause in ('server_error', 'unconfirmed', 'lost')
  and a.contact_id in (select contact_id from attempts where id >= :first and number > 1)
  and (a.state = 'unknown' or (a.state = 'unreported' and a.disposition is null)
       or (a.state = 'reported' and a.closed_at > b.began_at))
  and not (case a.cause when 'server_error' then 'redial_after_500' else 'redial_after_unknown' end = any(b.marks))
  and not exists (select 1 from history h
                  where h.contact_id = a.contact_id and h.attempt_id = a.id and h.state = 'unreported'
                    and h.reason like 'review: %')
limit :most;

-- name: i12_told(since, first, newest, most, whole)
-- Every present state was told: by whom, when and why.
with latest as materialized (
  select id, contact_id from attempts where id >= :first
  union
  select a.id, a.contact_id from (select attempt_id from reports order by id desc limit :newest) r
  join attempts a on a.id = r.attempt_id
)
select what, why from (
  select format('attempt %s', a.id) as what, format('is %s, and the history does not say so', a.state) as why
  from attempts a
  where a.id in (select id from latest)
    and not exists (select 1 from history h
                    where h.contact_id = a.contact_id and h.attempt_id = a.id and h.state = a.state
                      and h.actor <> '' and h.reason <> '')
  union all
  select format('contact %s', c.id), 'is closed, and the history does not say so'
  from contacts c
  where c.state = 'closed' and c.closed_at >= :since
    and c.id in (select contact_id from latest union all select id from contacts where :whole::boolean)
    and not exists (select 1 from history h
                    where h.contact_id = c.id and h.attempt_id is null and h.state = 'closed'
                      and h.actor <> '' and h.reason <> '')
  union all
  select format('campaign %s', c.name), format('is %s, the history says %s', c.state, coalesce(t.state, 'nothing'))
  from campaigns c
  left join lateral (
    select h.state from history h where h.campaign_id = c.id and h.contact_id is null and h.attempt_id is null
    order by h.id desc limit 1
  ) t on true
  where t.state is distinct from c.state
) faults
limit :most;
