-- The life of an import: its row is made before the first chunk, counted up in the transaction of every chunk, and
-- ended with the last; one without an end was killed, or is running.
-- incoming and incoming_phones are temporary: one chunk, and every number of the file with the line it came first on.

-- name: create_incoming()#
create temporary table if not exists incoming (
  line        bigint not null,
  id          uuid not null,
  phone       text not null,
  name        text,
  email       text,
  metadata    jsonb not null,
  zones       text[] not null,
  region      text,
  asked_at    timestamptz not null,
  expires_at  timestamptz,
  consent        text,
  consent_source text,
  consent_at     timestamptz,
  consent_proof  text,
  known          boolean not null default false
) on commit delete rows;
create temporary table if not exists incoming_phones (
  phone       text not null,
  line        bigint not null
);
truncate incoming_phones;

-- name: drop_incoming()#
drop table if exists incoming, incoming_phones;

-- name: remember_incoming()!
-- The chunk's numbers, as of a list that has had none twice so far.
insert into incoming_phones (phone, line) select phone, line from incoming;

-- name: index_incoming()#
create unique index if not exists incoming_phones_once on incoming_phones (phone);

-- name: sift_incoming(campaign_id)^
-- Mark of the chunk what the file had before, and what the campaign has: how many are new in the file, how many in both.
-- Each number by the index: planned as a join, all contacts of a long campaign were read for every chunk.
with fresh as (
  insert into incoming_phones (phone, line)
  select distinct on (i.phone) i.phone, i.line from incoming i order by i.phone, i.line
  on conflict do nothing
  returning phone, line
), new as materialized (
  select line from fresh f
  where (select 1 from contacts c where c.campaign_id = :campaign_id and c.key = f.phone limit 1) is null
    and (select 1 from contacts c
         where c.campaign_id = :campaign_id and c.phone = f.phone and c.state <> 'closed' limit 1) is null
), sifted as (
  update incoming set known = true where line not in (select line from new)
)
select (select count(*) from fresh) as fresh, (select count(*) from new) as added;

-- name: add_incoming(campaign_id, now)!
-- Enrol what is not known. A number that the campaign has is a unique violation.
insert into contacts (id, campaign_id, key, phone, name, email, metadata, zones, region, state, asked_at, due_at,
                      expires_at, consent, consent_source, consent_at, consent_proof, created_at)
select i.id, :campaign_id, i.phone, i.phone, i.name, i.email, i.metadata, i.zones, i.region, 'waiting',
       i.asked_at, i.asked_at, i.expires_at, i.consent, i.consent_source, i.consent_at, i.consent_proof, :now
from incoming i
where not i.known;

-- name: incoming_duplicates()
-- Rows of the chunk whose number the file had before, and on which line.
select i.line, p.first
from incoming i
cross join lateral (select q.line as first from incoming_phones q where q.phone = i.phone limit 1) p
where p.first <> i.line
order by i.line;

-- name: hold_campaign(campaign_id)$
-- The state of a campaign, which nobody changes until we commit.
select state from campaigns where id = :campaign_id for share;

-- name: begin_import(id, campaign_id, file, size, actor, dry_run, now)!
insert into imports (id, campaign_id, file, size, actor, dry_run, started_at, told_at)
values (:id, :campaign_id, :file, :size, :actor, :dry_run, :now, :now);

-- name: count_import(id, read, added, present, rejected, position, now)!
-- What one chunk came to, in its transaction.
update imports set read = read + :read, added = added + :added, present = present + :present,
       rejected = rejected + :rejected, position = :position, told_at = :now
where id = :id;

-- name: end_import(id, failure, now)!
update imports set ended_at = :now, told_at = :now, failure = :failure where id = :id;

-- name: keep_rejects(id, rejects)!
update imports set rejects = :rejects where id = :id;

-- name: import_rejects(id)$
select rejects from imports where id = :id;

-- name: forget_rejects(before)!
-- What is older has had its time.
update imports set rejects = null where rejects is not null and started_at < :before;

-- name: list_imports(id, campaign, before_at, before, most, silent)
-- The latest first; with ``id`` that one alone, with ``before_at`` and ``before`` only those behind that one.
select i.id, p.name as campaign, i.file, i.size, i.position, i.actor, i.dry_run, i.started_at, i.ended_at, i.failure,
       i.read, i.added, i.present, i.rejected, i.rejects is not null as rejects_kept,
       case when i.failure <> '' then 'failed' when i.ended_at is not null then 'ended'
            when coalesce(i.told_at, i.started_at) < :silent then 'silent' else 'running' end as state
from imports i join campaigns p on p.id = i.campaign_id
where (:id::uuid is null or i.id = :id)
  and (:campaign::text is null or p.name = :campaign)
  and (:before_at::timestamptz is null or (i.started_at, i.id) < (:before_at, :before::uuid))
order by i.started_at desc, i.id desc
limit :most;

-- name: tell_contacts()$
-- A hint to the daemons, given with the commit: there are new contacts.
select pg_notify('dialer', 'contacts');
