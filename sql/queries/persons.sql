-- persons: all that is held of one number, over every table; and its erasure. Money, counts and states stay as they are.

-- name: person_contacts(phone)
-- The contacts of a number.
select c.id, p.name as campaign, c.phone, c.name, c.email, c.metadata, c.zones, c.region, c.state, c.reason, c.tries,
       c.attempts, c.disposition, c.created_at, c.closed_at
from contacts c join campaigns p on p.id = c.campaign_id
where c.phone = :phone order by c.created_at, c.id;

-- name: person_attempts(phone)
-- Its attempts.
select a.id, p.name as campaign, a.contact_id, a.number, a.state, a.disposition, a.began_at, a.closed_at,
       a.provider_call_id, a.report_call_id, a.credits
from attempts a join campaigns p on p.id = a.campaign_id
where a.phone = :phone order by a.began_at;

-- name: person_reports(phone)
-- Every report of the number, and every one that was applied to an attempt at it.
select r.id, r.agent, r.type, r.call_id, r.received_at, r.state, r.body
from reports r
where r.phone = :phone or r.attempt_id in (select a.id from attempts a where a.phone = :phone)
order by r.received_at;

-- name: person_history(phone)
-- What was said of its contacts.
select h.at, h.actor, h.contact_id, h.attempt_id, h.state, h.reason
from history h join contacts c on c.id = h.contact_id
where c.phone = :phone order by h.id;

-- name: person_events(phone, digits)
-- The events that enrolled it, and those that only name it.
select e.id, e.source, e.external_id, e.kind, e.received_at, e.state, e.reason, e.data
from events e
where e.id in (select c.event_id from contacts c where c.phone = :phone) or position(:digits in e.data::text) > 0
order by e.received_at, e.id;

-- name: person_notices(phone)
-- What others were told of it.
select o.id, o.target, o.contact_id, o.attempt_id, o.state, o.created_at, o.ended_at, o.message
from outbox o join contacts c on c.id = o.contact_id
where c.phone = :phone order by o.created_at, o.id;

-- name: lock_person(phone)
-- The contacts of a number, locked: nobody passes the gate with it meanwhile.
select c.id from contacts c where c.phone = :phone order by c.id for update;

-- name: rings(phone)$
-- Whether the number has a live call. Asked once the contacts are locked: a gate that was waited for has committed.
select exists (select 1 from attempts where phone = :phone and state in ('dialing', 'placed', 'unknown'));

-- name: erase_reports(phone, body)$
-- Their bodies, numbers and times of speech; the key stays, so that a late double is still known as one.
with gone as (
  update reports r set body = :body, phone = null, started_at = null,
         state = case when r.state in ('unmatched', 'quarantined') then 'ignored' else r.state end,
         reason = case when r.state in ('unmatched', 'quarantined') then 'the person was erased' else r.reason end,
         replay_at = null
  where r.phone = :phone or r.attempt_id in (select a.id from attempts a where a.phone = :phone)
     or r.call_id in (select a.report_call_id from attempts a where a.phone = :phone and a.report_call_id is not null)
  returning 1
)
select count(*) from gone;

-- name: erase_attempts(phone, pseudonym)$
-- The number of its attempts.
with gone as (update attempts set phone = :pseudonym, detail = '' where phone = :phone returning 1)
select count(*) from gone;

-- name: erase_events(phone, digits)$
-- What the events said; the sender's id stays, so that one that comes again is still known.
with gone as (
  update events e set data = '{"erased": true}', reason = case when e.reason = '' then '' else 'erased' end
  where e.id in (select c.event_id from contacts c where c.phone = :phone) or position(:digits in e.data::text) > 0
  returning 1
), keys as (
  delete from cancels n using contacts c where c.phone = :phone and n.campaign_id = c.campaign_id and n.key = c.key
)
select count(*) from gone;

-- name: erase_notices(phone, now)$
-- What others were told, and what they were still to be told.
with gone as (
  update outbox o
  set message = '{"erased": true}', detail = case when o.state = 'sent' then o.detail else 'the person was erased' end,
      state = case when o.state = 'waiting' then 'dead' else o.state end,
      ended_at = coalesce(o.ended_at, :now::timestamptz)
  where o.contact_id in (select c.id from contacts c where c.phone = :phone)
  returning 1
)
select count(*) from gone;

-- name: erase_contacts(phone, pseudonym, actor, now)$
-- Closed, and without anything that tells who it was.
with gone as (
  update contacts
  set phone = :pseudonym, key = 'erased:' || id, name = null, email = null, metadata = '{}',
      consent_source = null, consent_proof = null, state = 'closed',
      reason = case when state = 'closed' then reason else 'erased' end,
      closed_at = coalesce(closed_at, :now::timestamptz)
  where phone = :phone
  returning id, campaign_id, reason
), told as (
  insert into history (at, actor, campaign_id, contact_id, state, reason)
  select :now, :actor, campaign_id, id, 'closed', 'the person was erased' from gone
)
select count(*) from gone;

-- name: erase_rejects()!
-- Whoever is erased may stand in any reject file, written in any way.
update imports set rejects = null where rejects is not null;

-- name: erase_suppressions(phone)!
-- The keyed digest bars it now.
delete from suppressions where phone = :phone;

-- name: erase_lifted(phone)!
-- Who lifted a bar, and why, without whose.
update lifted set phone = null where phone = :phone;
