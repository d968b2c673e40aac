-- contacts: one person to reach in one campaign.
--
--   import, trigger, call   insert waiting
--   gate                    waiting -> calling, or a later due_at with a reason, or closed with a reason
--   settle, rescue          calling -> waiting (retry, re-attempt) or closed
--   apply                   calling, waiting -> waiting or closed; closed -> closed with a better disposition
--   stop, expire            waiting -> closed

-- name: insert_contact(id, campaign_id, key, phone, name, email, metadata, zones, region, asked_at, expires_at, now)^
-- Enrol one contact; no row: the campaign has it already, by key or by an open contact of this number.
insert into contacts (id, campaign_id, key, phone, name, email, metadata, zones, region, state, asked_at, due_at,
                      expires_at, created_at)
values (:id, :campaign_id, :key, :phone, :name, :email, :metadata, :zones::text[], :region, 'waiting', :asked_at,
        :asked_at, :expires_at, :now)
on conflict do nothing
returning id;

-- name: claim_due(campaigns, quotas, now, since, calls, lately, earliest, latest)
-- Lock up to quota due contacts of each campaign, with what the gate must know of their numbers. Campaign by
-- campaign: with campaign_id = any(…) the planner leaves the partial index for a sort.
select c.id, c.campaign_id, c.phone, c.name, c.email, c.metadata, c.zones, c.region, c.state, c.asked_at, c.due_at,
       c.reason, c.tries, c.attempts, c.errors, c.marks, c.disposition, c.expires_at, c.consent,
       f.suppressed, f.hashed, f.recent, f.busy, f.disputed
from unnest(:campaigns::uuid[], :quotas::int[]) as q(campaign_id, quota)
cross join lateral (
  select * from contacts k
  where k.campaign_id = q.campaign_id and k.state = 'waiting' and k.due_at <= :now
  order by k.due_at, k.id
  limit q.quota
  for update skip locked
) c
cross join lateral number_facts(c.phone, c.campaign_id, :now, :since, :calls, :lately, :earliest, :latest) f;

-- name: look_at(ids, campaign_id, after, most, now, since, calls, lately, earliest, latest)
-- The same of contacts by id, or of those of a campaign that wait, in order of id; nothing is locked.
select c.id, c.campaign_id, c.phone, c.name, c.email, c.metadata, c.zones, c.region, c.state, c.asked_at, c.due_at,
       c.reason, c.tries, c.attempts, c.errors, c.marks, c.disposition, c.expires_at, c.consent,
       f.suppressed, f.hashed, f.recent, f.busy, f.disputed
from (
  select * from contacts k
  where (:ids::uuid[] is null or k.id = any(:ids))
    and (:campaign_id::uuid is null or (k.campaign_id = :campaign_id and k.state = 'waiting'))
    and (:after::uuid is null or k.id > :after)
  order by k.id limit :most
) c
cross join lateral number_facts(c.phone, c.campaign_id, :now, :since, :calls, :lately, :earliest, :latest) f;

-- name: ahead(campaign_id, due_at, id, most)$
-- How many waiting contacts of the campaign come before this one.
select count(*) from (
  select 1 from contacts where campaign_id = :campaign_id and state = 'waiting' and (due_at, id) < (:due_at, :id) limit :most
) b;

-- name: defer_contacts(ids, due_ats, reasons)!
-- Move the due time of waiting contacts to when a rule allows, and say which.
update contacts c set due_at = greatest(d.due_at, c.asked_at), reason = d.reason
from unnest(:ids::uuid[], :due_ats::timestamptz[], :reasons::text[]) as d(id, due_at, reason)
where c.id = d.id and c.state = 'waiting';

-- name: close_waiting(ids, reasons, dispositions, actor, now)
-- Close contacts that wait and shall not be called.
with closed as (
  update contacts c set state = 'closed', reason = d.reason, disposition = coalesce(d.disposition, c.disposition),
         closed_at = :now
  from unnest(:ids::uuid[], :reasons::text[], :dispositions::text[]) as d(id, reason, disposition)
  where c.id = d.id and c.state = 'waiting'
  returning c.id, c.campaign_id, c.reason
), told as (
  insert into history (at, actor, campaign_id, contact_id, state, reason)
  select :now, :actor, campaign_id, id, 'closed', reason from closed
)
select id from closed;

-- name: release_contacts(ids, states, due_ats, reasons, spared, errors, marks, dispositions, numbers, changed, freed, waited, actor, now)
-- What becomes of contacts whose attempt ended: waiting again, or closed. Spared takes back the count of the attempt.
-- The guard is the number: only the contact's latest attempt decides, or, while none is live, the latest that may have
-- rung: a newer one that was refused says nothing about the person. A closed contact stays closed.
-- Attempts of changed numbers changed: what lies unmatched is tried again at once, but for one that is being tried now.
-- Where a number is freed, other contacts that waited for it are due as they were. Returns the contacts, and the agents
-- whose turn it may be.
with released as (
  update contacts c
  set state       = case when c.state = 'closed' then 'closed' else r.state end,
      asked_at    = case when c.state = 'closed' or r.state = 'closed' then c.asked_at else r.due_at end,
      due_at      = case when c.state = 'closed' or r.state = 'closed' then c.due_at else r.due_at end,
      reason      = case when c.state = 'closed' and r.state = 'waiting' then c.reason else r.reason end,
      attempts    = c.attempts - r.spared,
      errors      = r.errors,
      marks       = string_to_array(r.marks, ' '),
      disposition = coalesce(r.disposition, c.disposition),
      closed_at   = case when c.state = 'closed' then c.closed_at when r.state = 'closed' then :now::timestamptz end,
      written_at  = null
  from unnest(:ids::uuid[], :states::text[], :due_ats::timestamptz[], :reasons::text[], :spared::int[],
              :errors::int[], :marks::text[], :dispositions::text[], :numbers::int[])
       as r(id, state, due_at, reason, spared, errors, marks, disposition, number)
  where c.id = r.id
    and (c.tries = r.number
         or (c.state <> 'calling'
             and not exists (select 1 from attempts a
                             where a.contact_id = c.id and a.number > r.number
                               and a.state not in ('not_placed', 'aborted'))))
  returning c.id, c.campaign_id, c.state, c.reason
), told as (
  insert into history (at, actor, campaign_id, contact_id, state, reason)
  select :now, :actor, campaign_id, id, state, reason from released
), hastened as (
  update reports set replay_at = :now
  where id in (select id from reports where state = 'unmatched' and phone = any(:changed::text[])
               order by id for update skip locked)
), woken as (
  update contacts c set due_at = greatest(asked_at, :now), reason = ''
  where phone = any(:freed::text[]) and state = 'waiting' and reason = :waited
    and not exists (select 1 from released r where r.id = c.id)
  returning campaign_id
)
select id, state, null as agent from released
union all
select distinct null::uuid, null, p.agent from woken w join campaigns p on p.id = w.campaign_id;

-- name: count_attempts(contacts)!
-- Attempts that had been spared rang after all: they count, whichever attempt decides about the contact.
update contacts c set attempts = c.attempts + s.times
from (select id, count(*) as times from unnest(:contacts::uuid[]) as u(id) group by id) s
where c.id = s.id;

-- name: release_start(campaign_id, now)$
-- A start releases the contacts that waited for it.
with released as (
  update contacts set asked_at = :now, due_at = :now, reason = ''
  where campaign_id = :campaign_id and state = 'waiting' and asked_at = 'infinity'
  returning 1
)
select count(*) from released;

-- name: reset_due(campaign_id)$
-- The rules changed: contacts that a rule had moved are looked at again.
with reset as (
  update contacts set due_at = asked_at, reason = ''
  where campaign_id = :campaign_id and state = 'waiting' and due_at <> asked_at
  returning 1
)
select count(*) from reset;

-- name: call_back(id, at, reason, actor, now)^
-- A person says when to call: the contact waits until then. No row: it does not wait.
with moved as (
  update contacts set asked_at = :at, due_at = :at, reason = :reason
  where id = :id and state = 'waiting'
  returning id, campaign_id
), told as (
  insert into history (at, actor, campaign_id, contact_id, state, reason)
  select :now, :actor, campaign_id, id, 'waiting', :reason from moved
)
select m.id, p.agent from moved m join campaigns p on p.id = m.campaign_id;

-- name: close_campaign_contacts(campaigns, reason, actor, now)$
-- Close all that waits in these campaigns.
with closed as (
  update contacts set state = 'closed', reason = :reason, closed_at = :now
  where campaign_id = any(:campaigns::uuid[]) and state = 'waiting'
  returning id, campaign_id
), told as (
  insert into history (at, actor, campaign_id, contact_id, state, reason)
  select :now, :actor, campaign_id, id, 'closed', :reason from closed
)
select count(*) from closed;

-- name: close_expired(now, actor, most)
-- Close contacts whose time is over.
with due as (
  select id from contacts where state = 'waiting' and expires_at <= :now order by expires_at limit :most
  for update skip locked
), closed as (
  update contacts c set state = 'closed', reason = 'expired', closed_at = :now
  from due where c.id = due.id and c.state = 'waiting'
  returning c.id, c.campaign_id
), told as (
  insert into history (at, actor, campaign_id, contact_id, state, reason)
  select :now, :actor, campaign_id, id, 'closed', 'expired' from closed
)
select campaign_id, id from closed;

-- name: close_number(phones, campaign_id, reason, disposition, actor, now)$
-- Close every waiting contact of numbers that must not be rung, everywhere or in one campaign.
with closed as (
  update contacts set state = 'closed', reason = :reason, disposition = :disposition, closed_at = :now
  where phone = any(:phones::text[]) and state = 'waiting'
    and (:campaign_id::uuid is null or campaign_id = :campaign_id)
  returning id, campaign_id
), told as (
  insert into history (at, actor, campaign_id, contact_id, state, reason)
  select :now, :actor, campaign_id, id, 'closed', :reason from closed
)
select count(*) from closed;

-- name: list_contacts(campaign, state, unreached, after, most)
-- Contacts in order of id; with ``unreached`` only those with whom nobody has spoken.
select c.id, p.name as campaign, c.key, c.phone, c.name, c.email, c.metadata, c.zones, c.region, c.state, c.asked_at,
       c.due_at, c.reason, c.tries, c.attempts, c.disposition, c.expires_at, c.consent, c.consent_source,
       c.consent_at, c.consent_proof, c.created_at, c.closed_at
from contacts c join campaigns p on p.id = c.campaign_id
where (:campaign::text is null or p.name = :campaign)
  and (:state::text is null or c.state = :state)
  and (not :unreached
       or coalesce(c.disposition, '') not in ('answered', 'callback_requested', 'do_not_call'))
  and (:after::uuid is null or c.id > :after::uuid)
order by c.id limit :most;

-- name: find_contacts(id, phone)
-- The contacts with this id or this number.
select c.id, p.name as campaign, c.key, c.phone, c.name, c.email, c.metadata, c.zones, c.region, c.state, c.asked_at,
       c.due_at, c.reason, c.tries, c.attempts, c.disposition, c.expires_at, c.consent, c.consent_source,
       c.consent_at, c.consent_proof, c.created_at, c.closed_at
from contacts c join campaigns p on p.id = c.campaign_id
where c.id = :id::uuid or c.phone = :phone::text
order by c.created_at, c.id;

-- name: contact_history(id)
-- All that was said of a contact, in order.
select at, actor, attempt_id, state, reason from history where contact_id = :id order by history.id;

-- name: insert_history(at, actor, campaign_id, contact_id, attempt_id, state, reason)!
-- Say who changed what, when and why.
insert into history (at, actor, campaign_id, contact_id, attempt_id, state, reason)
values (:at, :actor, :campaign_id, :contact_id, :attempt_id, :state, :reason);

-- name: close_undiallable(campaigns, actor, now)$
-- Once nothing else of a campaign is open: close what can never be called as things stand, with its reason. The first
-- in the order of the index tells it at once of a campaign that is under way; without, all of it was read.
with stuck as materialized (
  select u.id from unnest(:campaigns::uuid[]) as u(id)
  where case when (select k.due_at from contacts k where k.campaign_id = u.id and k.state = 'waiting'
                   order by k.due_at, k.id limit 1) = 'infinity'
        then not exists (
          select 1 from contacts o
          where o.campaign_id = u.id and o.state <> 'closed' and (o.due_at <> 'infinity' or o.asked_at = 'infinity'))
        end
), closed as (
  update contacts c set state = 'closed', closed_at = :now
  from stuck s
  where c.campaign_id = s.id and c.state = 'waiting' and c.due_at = 'infinity' and c.asked_at <> 'infinity'
  returning c.id, c.campaign_id, c.reason
), told as (
  insert into history (at, actor, campaign_id, contact_id, state, reason)
  select :now, :actor, campaign_id, id, 'closed', reason from closed
)
select count(*) from closed;
