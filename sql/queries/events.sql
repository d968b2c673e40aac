-- events: what other systems told of, once each. cancels: whose end was told of before the beginning.

-- name: insert_event(id, source, external_id, kind, data, now)^
-- Keep an event; no row: it came before.
insert into events (id, source, external_id, kind, data, received_at, state)
values (:id, :source, :external_id, :kind, :data, :now, 'ignored')
on conflict do nothing
returning id;

-- name: end_event(id, state, reason)!
-- What came of it.
update events set state = :state, reason = :reason where id = :id;

-- name: linked_campaigns(source)
-- The campaigns that listen to a source, for beginnings or for ends, and may still take somebody; held until the commit,
-- so that none is stopped meanwhile.
select c.id, c.name, c.agent, c.state, c.reason, c.version, c.changed_at, v.definition, v.checksum
from campaigns c join campaign_versions v on v.campaign_id = c.id and v.version = c.version
where c.state <> 'stopped'
  and (v.definition -> 'trigger' @> jsonb_build_array(jsonb_build_object('source', :source::text))
       or v.definition -> 'trigger' @> jsonb_build_array(jsonb_build_object('cancel_source', :source::text)))
order by c.name for share of c;

-- name: list_events(source, state, after, most)
-- The latest events; with ``after`` those behind that one.
select e.id, e.source, e.external_id, e.kind, e.received_at, e.state, e.reason,
       (select count(*) from contacts c where c.event_id = e.id) as contacts
from events e
where (:source::text is null or e.source = :source) and (:state::text is null or e.state = :state)
  and (:after::uuid is null
       or (e.received_at, e.id) < (select x.received_at, x.id from events x where x.id = :after::uuid))
order by e.received_at desc, e.id desc limit :most;

-- name: get_event(id)^
-- One event, locked: it may be replayed.
select id, source, external_id, kind, data, received_at, state, reason from events where id = :id for update;

-- name: event_contacts(event)
-- Whom it enrolled.
select c.id, p.name as campaign, c.state, c.due_at, c.disposition, c.reason
from contacts c join campaigns p on p.id = c.campaign_id where c.event_id = :event order by c.id;

-- name: insert_cancel(campaign_id, key, event_id, now)!
-- Whoever comes with this key later is not enrolled.
insert into cancels (campaign_id, key, event_id, at) values (:campaign_id, :key, :event_id, :now) on conflict do nothing;

-- name: cancelled(campaign_id, key)$
-- When a key was cancelled.
select at from cancels where campaign_id = :campaign_id and key = :key;

-- name: lock_key(campaign_id, key)!
-- The beginning and the end of one key are told one after the other.
select pg_advisory_xact_lock(hashtextextended((:campaign_id::uuid)::text || ' ' || :key, 0));

-- name: waiting_by_key(campaign_id, key)
-- Whom a key enrolled, while nobody has called.
select id from contacts where campaign_id = :campaign_id and key = :key and state = 'waiting' for update;

-- name: waiting_by_phone(campaign_id, phone)
-- Who waits with a number.
select id from contacts where campaign_id = :campaign_id and phone = :phone and state = 'waiting' for update;

-- name: enrol(id, campaign_id, key, phone, name, email, metadata, zones, region, asked_at, expires_at, consent, consent_source, consent_at, event_id, from_row, now)^
-- Enrol one contact that an event or a row tells of; no row: the campaign has it already, by key or by an open contact of this
-- number.
insert into contacts (id, campaign_id, key, phone, name, email, metadata, zones, region, state, asked_at, due_at,
                      expires_at, consent, consent_source, consent_at, event_id, from_row, created_at)
values (:id, :campaign_id, :key, :phone, :name, :email, :metadata::text::jsonb, :zones::text[], :region, 'waiting',
        :asked_at, :asked_at, :expires_at, :consent, :consent_source, :consent_at, :event_id, :from_row, :now)
on conflict do nothing
returning id;

-- name: follow_on(parents, campaigns, keys, asked, expires, ids, now)
-- Enrol closed contacts in other campaigns, or again in their own, as they are. What is missing in the answer has an open
-- contact of the number there already, or its campaign takes nobody.
insert into contacts (id, campaign_id, key, phone, name, email, metadata, zones, region, state, asked_at, due_at,
                      expires_at, consent, consent_source, consent_at, consent_proof, parent_id, depth, created_at)
select f.id, p.id, f.key, c.phone, c.name, c.email, c.metadata, c.zones, c.region, 'waiting', f.asked, f.asked,
       f.expires, c.consent, c.consent_source, c.consent_at, c.consent_proof, c.id, c.depth + 1, :now
from unnest(:parents::uuid[], :campaigns::text[], :keys::text[], :asked::timestamptz[], :expires::timestamptz[],
            :ids::uuid[]) as f(parent, campaign, key, asked, expires, id)
join contacts c on c.id = f.parent
join campaigns p on p.name = f.campaign and p.state <> 'stopped'
order by p.id, f.id
on conflict do nothing
returning id;

-- name: reopen(names, now)
-- Campaigns that had finished have work again; who started them once need not do it twice.
update campaigns set state = 'active', reason = '', changed_at = :now
where name = any(:names::text[]) and state = 'finished'
returning id, name;

-- name: people(ids)
-- Of whom notices speak.
select c.id, c.key, c.phone, c.name, c.email, c.metadata, c.depth, c.state, c.attempts, c.disposition, c.reason,
       c.created_at, p.name as campaign
from contacts c join campaigns p on p.id = c.campaign_id where c.id = any(:ids::uuid[]);

-- name: journey(contact)
-- A person's way: the first contact that others follow, and all that follow it.
with recursive up as (
  select id, parent_id from contacts where id = :contact
  union all
  select c.id, c.parent_id from contacts c join up on c.id = up.parent_id
), down as (
  select id from up where parent_id is null
  union all
  select c.id from contacts c join down on c.parent_id = down.id
)
select c.id, p.name as campaign, p.agent, c.key, c.phone, c.name, c.state, c.disposition, c.reason, c.created_at, c.due_at,
       c.closed_at, c.depth, c.parent_id, c.event_id
from down join contacts c on c.id = down.id join campaigns p on p.id = c.campaign_id
order by c.depth, c.created_at, c.id;
