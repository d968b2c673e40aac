-- attempts: one try at one contact, one row, at most one POST, ever.
--
--   gate     inserts dialing, with its reservation, and moves the contact to calling
--   settle   dialing, unknown -> placed | not_placed | unknown ; dialing -> aborted
--   apply    dialing, placed, unknown, unreported -> reported
--   rescue   dialing -> unknown ; placed, unknown -> unreported
--   person   unknown -> not_placed | unreported ; placed -> unreported
--
-- Two partial unique indexes allow one live attempt for a phone and one for a contact.

-- name: begin_attempts(ids, contacts, slots, reserved, versions, keys, next_ats, agent, daemon, now, resolve_at, reason)
-- The gate's last word: the attempts as dialing, their contacts as calling. A number that is live elsewhere inserts
-- nothing, by the unique index. Ordered by phone, so that two gates wait for each other in one order. The tokens that
-- they take are noted with them.
with tries as (
  select t.*, c.campaign_id, c.phone, c.tries + 1 as number, c.marks,
         extract(hour from :now::timestamptz at time zone coalesce(c.zones[1], 'UTC')) as hour
  from unnest(:ids::uuid[], :contacts::uuid[], :slots::timestamptz[], :reserved::numeric[], :versions::int[])
       as t(id, contact_id, slot_at, reserved, version)
  join contacts c on c.id = t.contact_id and c.state = 'waiting'
  order by c.phone
), begun as (
  insert into attempts (id, contact_id, campaign_id, campaign_version, agent, phone, number, state, marks, reserved,
                        set_aside, daemon, began_at, slot_at, resolve_at, hour)
  select id, contact_id, campaign_id, version, :agent, phone, number, 'dialing', marks, reserved, reserved,
         :daemon, :now, slot_at, :resolve_at, hour
  from tries
  on conflict do nothing
  returning id, contact_id, campaign_id
), moved as (
  update contacts c set state = 'calling', tries = c.tries + 1, attempts = c.attempts + 1, reason = '', marks = '{}'
  from begun b where c.id = b.contact_id and c.state = 'waiting'
), taken as (
  update buckets b set next_at = n.next_at
  from unnest(:keys::text[], :next_ats::timestamptz[]) as n(key, next_at)
  where b.key = n.key
), told as (
  insert into history (at, actor, campaign_id, contact_id, attempt_id, state, reason)
  select :now, 'gate', campaign_id, contact_id, id, 'dialing', :reason from begun
)
select id from begun;

-- name: settle_attempts(ids, states, causes, details, statuses, answered_ats, call_ids, resolve_ats, dispositions, actor, now)
-- What the answers mean. Guard: dialing, or unknown when the answer came after all. Rows that are not returned were
-- moved by someone else. Locked in order of id, as every batch locks attempts. Each answer comes along with its lock:
-- joined to them later, every answer was held against every lock.
with locked as (
  select r.* from unnest(:ids::uuid[], :states::text[], :causes::text[], :details::text[], :statuses::int[],
                         :answered_ats::timestamptz[], :call_ids::text[], :resolve_ats::timestamptz[],
                         :dispositions::text[])
                    as r(id, state, cause, detail, status, answered_at, call_id, resolve_at, disposition)
  join attempts a on a.id = r.id
  order by a.id for update of a
), settled as (
  update attempts a
  set state = r.state, cause = r.cause, detail = r.detail, http_status = r.status, answered_at = r.answered_at,
      provider_call_id = r.call_id, disposition = r.disposition,
      resolve_at = r.resolve_at,
      reserved = case when r.state in ('placed', 'unknown') then a.reserved else 0 end,
      closed_at = case when r.state in ('placed', 'unknown') then null else :now::timestamptz end
  from locked r
  where a.id = r.id
    and (a.state = 'dialing' or (a.state = 'unknown' and r.state in ('placed', 'not_placed')))
  returning a.id, a.campaign_id, a.contact_id, a.state, r.cause, r.detail
), told as (
  insert into history (at, actor, campaign_id, contact_id, attempt_id, state, reason)
  select :now, :actor, campaign_id, contact_id, id, state, concat_ws(': ', cause, nullif(detail, '')) from settled
)
select id from settled;

-- name: note_answers(ids, call_ids, statuses, answered_ats)!
-- The answer came after the report, or after the wait for it: keep the provider's id, change no state.
update attempts a
set provider_call_id = coalesce(a.provider_call_id, r.call_id), http_status = coalesce(a.http_status, r.status),
    answered_at = coalesce(a.answered_at, r.answered_at)
from unnest(:ids::uuid[], :call_ids::text[], :statuses::int[], :answered_ats::timestamptz[])
     as r(id, call_id, status, answered_at)
where a.id = r.id and a.state in ('reported', 'unreported', 'placed');

-- name: candidates(ids, call_ids, phones)
-- The attempts that these reports may belong to, locked in order of id, with what decides about their contacts.
select a.id, a.contact_id, a.campaign_id, a.agent, a.phone, a.number, a.state, a.began_at, a.provider_call_id,
       c.tries, c.attempts, c.zones, c.region, c.state as contact_state, p.version,
       a.state = 'unreported' and a.cause = 'server_error' and a.disposition is null as spared
from attempts a
join contacts c on c.id = a.contact_id
join campaigns p on p.id = a.campaign_id
where a.id = any(array(
        -- Each by its own index, however little is known of the table: one "or" over three was a scan at times.
        select unnest(:ids::uuid[])
        union select x.id from attempts x where x.provider_call_id = any(:call_ids::text[])
        union select x.id from attempts x
              where x.phone = any(:phones::text[]) and x.state in ('dialing', 'placed', 'unknown', 'unreported')))
  -- Asked again of the row that is locked.
  and (a.id = any(:ids::uuid[]) or a.provider_call_id = any(:call_ids::text[])
       or (a.phone = any(:phones::text[]) and a.state in ('dialing', 'placed', 'unknown', 'unreported')))
order by a.id
for update of a, c;

-- name: possible_attempts(ids, call_ids, phones, most)
-- The same for a person's eyes: in every state, not locked, the latest first.
select a.id, a.contact_id, a.campaign_id, a.agent, a.phone, a.number, a.state, a.began_at, a.provider_call_id,
       c.tries, c.attempts, c.zones, c.region, c.state as contact_state, p.version, false as spared
from attempts a
join contacts c on c.id = a.contact_id
join campaigns p on p.id = a.campaign_id
where a.id = any(:ids::uuid[]) or a.provider_call_id = any(:call_ids::text[]) or a.phone = any(:phones::text[])
order by a.began_at desc
limit :most;

-- name: lock_overdue(id)^
-- One attempt that a person decides about, and its contact, locked.
select a.id, a.contact_id, a.campaign_id, a.agent, a.phone, a.number, a.state, a.cause, a.marks, a.began_at,
       c.tries, c.attempts, c.errors, c.zones, c.region
from attempts a
join contacts c on c.id = a.contact_id
where a.id = :id
for update of a, c;

-- name: hold_attempt(id, resolve_at, reason, actor, now)^
-- A person lets the wait for a report begin again; no row: it is not waiting for one.
with held as (
  update attempts set resolve_at = :resolve_at where id = :id and state in ('placed', 'unknown')
  returning id, campaign_id, contact_id, state
), told as (
  insert into history (at, actor, campaign_id, contact_id, attempt_id, state, reason)
  select :now, :actor, campaign_id, contact_id, id, state, :reason from held
)
select id from held;

-- name: to_review(after, most)
-- Attempts that a person must decide about, or know of: unknown without an end of the wait, unknown twice or for the
-- last time, and placed without a name. Those that a person has spoken of are left out, unless they wait for ever.
select a.id, a.contact_id, p.name as campaign, a.agent, a.phone, a.number, a.state, a.cause, a.detail, a.marks,
       a.began_at, a.resolve_at, c.state as contact_state
from attempts a
join campaigns p on p.id = a.campaign_id
join contacts c on c.id = a.contact_id
where ((a.state = 'unknown' and a.resolve_at is null)
       or (a.state = 'placed' and a.cause = 'placed_unidentified')
       or (a.state = 'unreported' and a.cause in ('unconfirmed', 'lost') and a.disposition = 'no_report'))
  and (a.state = 'unknown'
       or not exists (select 1 from history h where h.contact_id = a.contact_id and h.attempt_id = a.id
                        and h.reason like 'review: %'))
  and (:after::uuid is null or a.id > :after::uuid)
order by a.id limit :most;

-- name: undecided()$
-- How many attempts wait for ever until a person decides.
select count(*) from attempts where state = 'unknown' and resolve_at is null;

-- name: endings(contacts)
-- How often the attempts of these contacts ended in each way.
select contact_id, disposition, count(*) as times
from attempts where contact_id = any(:contacts::uuid[]) and disposition is not null
group by contact_id, disposition;

-- name: begun_at(contacts)
-- When the attempts of these contacts began that may have rung.
select contact_id, began_at from attempts
where contact_id = any(:contacts::uuid[]) and state not in ('not_placed', 'aborted')
order by contact_id, began_at;

-- name: report_attempts(ids, reports, call_ids, dispositions, credits, rules, successes, actor, now)
-- Close attempts by their reports, for good.
with reported as (
  update attempts a
  set state = 'reported', report_id = r.report_id, report_call_id = r.call_id, disposition = r.disposition,
      credits = r.credits, success = r.success, reserved = 0, resolve_at = null, closed_at = :now
  from unnest(:ids::uuid[], :reports::uuid[], :call_ids::text[], :dispositions::text[], :credits::numeric[],
              :rules::text[], :successes::boolean[])
       as r(id, report_id, call_id, disposition, credits, rule, success)
  where a.id = r.id and a.state in ('dialing', 'placed', 'unknown', 'unreported')
  returning a.id, a.campaign_id, a.contact_id, r.disposition, r.rule, r.success
), counted as (
  insert into spend (campaign_id, successes)
  select campaign_id, count(*) from reported where success group by campaign_id order by campaign_id
  on conflict (campaign_id) do update set successes = spend.successes + excluded.successes
), told as (
  insert into history (at, actor, campaign_id, contact_id, attempt_id, state, reason)
  select :now, :actor, campaign_id, contact_id, id, 'reported', disposition || ', matched by ' || rule from reported
)
select id from reported;

-- name: due_for_rescue(now, most)
-- Live attempts whose time is over, locked.
select a.id, a.contact_id, a.campaign_id, a.agent, a.phone, a.number, a.state, a.cause, a.marks, a.began_at,
       c.tries, c.attempts, c.errors, c.zones, c.region
from attempts a
join contacts c on c.id = a.contact_id
where a.state in ('dialing', 'placed', 'unknown') and a.resolve_at <= :now
order by a.id
limit :most
for update of a, c skip locked;

-- name: rescue_attempts(ids, states, causes, resolve_ats, dispositions, reasons, actor, now)
-- Turn live attempts into unknown or unreported. Never into something that frees a number without a decision.
with rescued as (
  update attempts a
  set state = r.state, cause = r.cause, disposition = r.disposition, resolve_at = r.resolve_at,
      reserved = case when r.state = 'unknown' then a.reserved else 0 end,
      closed_at = case when r.state = 'unknown' then null else :now::timestamptz end
  from unnest(:ids::uuid[], :states::text[], :causes::text[], :resolve_ats::timestamptz[], :dispositions::text[],
              :reasons::text[]) as r(id, state, cause, resolve_at, disposition, reason)
  where a.id = r.id
    and ((a.state = 'dialing' and r.state = 'unknown') or (a.state in ('placed', 'unknown') and r.state = 'unreported'))
  returning a.id, a.campaign_id, a.contact_id, a.state, r.reason
), told as (
  insert into history (at, actor, campaign_id, contact_id, attempt_id, state, reason)
  select :now, :actor, campaign_id, contact_id, id, state, reason from rescued
)
select id from rescued;

-- name: next_rescue()$
-- When the next live attempt is due for rescue.
select min(resolve_at) from attempts where state in ('dialing', 'placed', 'unknown');

-- name: postpone_rescues(silence, floor)$
-- No report could be taken for so long: every wait for one lasts so much longer, and at least until the floor.
with postponed as (
  update attempts set resolve_at = greatest(resolve_at + :silence::interval, :floor::timestamptz)
  where state in ('dialing', 'placed', 'unknown') and resolve_at is not null
  returning 1
)
select count(*) from postponed;

-- name: get_attempt(id)^
-- One attempt, as it stands.
select id, contact_id, campaign_id, campaign_version, agent, phone, number, state, cause, detail, marks, reserved,
       began_at, slot_at, answered_at, http_status, provider_call_id, resolve_at, report_id, report_call_id,
       disposition, credits, closed_at
from attempts where id = :id;

-- name: contact_attempts(contact_id)
-- The attempts of one contact, in order.
select id, contact_id, campaign_id, campaign_version, agent, phone, number, state, cause, detail, marks, reserved,
       began_at, slot_at, answered_at, http_status, provider_call_id, resolve_at, report_id, report_call_id,
       disposition, credits, closed_at
from attempts where contact_id = :contact_id order by number;

-- name: export_attempts(campaign, after, most)
-- Attempts in order of id, with the report that closed each.
select a.id, p.name as campaign, a.campaign_version, a.contact_id, a.agent, a.phone, a.number, a.state, a.cause,
       a.detail, a.disposition, a.provider_call_id, a.report_call_id, a.credits, a.marks, a.http_status, a.began_at,
       a.slot_at, a.answered_at, a.closed_at, c.name, c.email, r.body, r.rule, r.received_at
from attempts a
join campaigns p on p.id = a.campaign_id
join contacts c on c.id = a.contact_id
left join reports r on r.id = a.report_id
where (:campaign::text is null or p.name = :campaign) and (:after::uuid is null or a.id > :after::uuid)
order by a.id limit :most;

-- name: history_of_endings(campaign_id, agent, most)
-- How the last reported attempts of a campaign, or of an agent, ended, what they cost, and how long they lasted.
select disposition, count(*) as times, avg(credits)::float8 as credits, coalesce(stddev_samp(credits), 0)::float8 as deviation
from (
  select disposition, coalesce(credits, 0) as credits from attempts
  where (:campaign_id::uuid is null or campaign_id = :campaign_id) and agent = :agent
    and state = 'reported' and disposition is not null
  order by began_at desc limit :most
) a
group by disposition;

-- name: attempt_counts()
-- Attempts by state: those that are live, and the tallies of those that are closed.
select state, count(*) as attempts from attempts where state in ('dialing', 'placed', 'unknown') group by state
union all
select state, sum(calls)::bigint from call_counts group by state;
