-- sources: tables of the user's own, each watched by one daemon at a time; their rows as contacts.

-- name: watched()
-- The campaigns that have a table, and may still take somebody.
select c.id, c.name, c.agent, c.state, c.reason, c.version, c.changed_at, v.definition, v.checksum
from campaigns c join campaign_versions v on v.campaign_id = c.id and v.version = c.version
where c.state <> 'stopped' and v.definition -> 'source' <> 'null'::jsonb
order by c.name;

-- name: ensure_source(campaign, definition, now)!
-- Watch a table from its beginning; one that is read in another way is begun anew.
insert into sources as s (campaign_id, definition, next_at, trailed_at) values (:campaign, :definition, :now, :now)
on conflict (campaign_id) do update
set definition = excluded.definition, next_at = excluded.next_at, mark = null, trail = null, before = null,
    trailed_at = excluded.trailed_at, error = ''
where s.definition <> excluded.definition;

-- name: take_source(campaign, now, until)^
-- Read it now; no row: it is not due, or another daemon reads it. A change by its owner's side is waited for no longer.
update sources set next_at = :until
where campaign_id = (select campaign_id from sources where campaign_id = :campaign and next_at <= :now
                     for update skip locked)
returning mark, trail, trailed_at, before;

-- name: end_source(campaign, next_at, mark, trail, trailed_at, before, error, now)!
-- How far it was read.
update sources
set next_at = :next_at, mark = :mark::text[], trail = :trail::text[], trailed_at = :trailed_at, before = :before::text[],
    error = :error, read_at = case when :error::text = '' then :now::timestamptz else read_at end
where campaign_id = :campaign;

-- name: next_source()$
-- When the next table is to be read.
select min(next_at) from sources s join campaigns c on c.id = s.campaign_id where c.state <> 'stopped';

-- name: rows_known(campaign, keys)
-- Contacts of rows by their keys; locked, so that none passes the gate meanwhile.
select c.id, c.key, c.state, c.tries, c.phone, c.name, c.email, c.metadata, c.zones, c.region, c.asked_at, c.expires_at,
       c.consent
from contacts c
where c.campaign_id = :campaign and c.key = any(:keys::text[])
order by c.id for update;

-- name: change_row(id, phone, name, email, metadata, zones, region, asked_at, expires_at, consent)!
-- A row changed before its call: the contact is as the row says, and due when the row says so, if it says so.
update contacts
set phone = :phone, name = :name, email = :email, metadata = :metadata::text::jsonb, zones = :zones::text[],
    region = :region, asked_at = :asked_at, due_at = :asked_at, expires_at = :expires_at, consent = :consent, reason = ''
where id = :id and state = 'waiting';

-- name: drop_rows(ids, reason, actor, now)
-- Rows that are gone, or cannot be called any more: their contacts are closed, and their keys are free for a row to come.
with gone as (
  update contacts c
  set state = 'closed', reason = :reason, closed_at = :now, written_at = :now, key = c.key || '#' || c.id
  where c.id = any(:ids::uuid[]) and c.state = 'waiting'
  returning c.id, c.campaign_id
), told as (
  insert into history (at, actor, campaign_id, contact_id, state, reason)
  select :now, :actor, campaign_id, id, 'closed', :reason from gone
)
select id from gone;

-- name: rows_due(campaign, until, most)
-- The contacts of rows that may be called soon: their rows are looked at once more.
select key from contacts
where campaign_id = :campaign and from_row and state = 'waiting' and due_at <= :until
order by due_at limit :most;

-- name: rows_waiting(campaign)
-- All contacts of rows that wait.
select id, key from contacts where campaign_id = :campaign and from_row and state = 'waiting';

-- name: reject_row(campaign, key, reason, now)!
-- A row that cannot be called as it is.
insert into source_rejects (campaign_id, key, reason, at) values (:campaign, :key, :reason, :now)
on conflict (campaign_id, key) do update set reason = excluded.reason, at = excluded.at
where source_rejects.reason <> excluded.reason;

-- name: accept_rows(campaign, keys)!
-- Rows that can be called now.
delete from source_rejects where campaign_id = :campaign and key = any(:keys::text[]);

-- name: ends_to_write(campaign, most)
-- Contacts whose end their rows do not know yet.
select c.id, c.key, c.state, c.disposition, c.reason, c.attempts, c.closed_at,
       coalesce((select sum(a.credits) from attempts a where a.contact_id = c.id), 0) as credits
from contacts c
where c.campaign_id = :campaign and c.from_row and c.state = 'closed' and c.written_at is null
order by c.id limit :most;

-- name: note_written(ids, closed, dispositions, now)!
-- Their rows know it; one that ended otherwise meanwhile is written once more.
update contacts c set written_at = :now
from unnest(:ids::uuid[], :closed::timestamptz[], :dispositions::text[]) as w(id, closed_at, disposition)
where c.id = w.id and c.closed_at = w.closed_at and c.disposition is not distinct from w.disposition;

-- name: list_sources()
-- How every table stands.
select p.name as campaign, s.definition ->> 'table' as table, s.definition ->> 'database' as database, s.read_at,
       s.next_at, s.error,
       (select count(*) from contacts c where c.campaign_id = p.id and c.from_row) as contacts,
       (select count(*) from source_rejects r where r.campaign_id = p.id) as rejects
from sources s join campaigns p on p.id = s.campaign_id order by p.name;

-- name: list_rejects(campaign, most)
-- Rows that cannot be called as they are, the latest first.
select r.key, r.reason, r.at from source_rejects r where r.campaign_id = :campaign order by r.at desc, r.key limit :most;
