-- Tables of the user's own that are watched: how far each was read, which of its rows cannot be called, and what is to
-- be written back to it.

-- One for each campaign with a [source]. definition: what the marks are of; another one begins anew.
create table sources (
  campaign_id     uuid primary key references campaigns (id),
  definition      jsonb not null,
  -- a daemon that reads it holds it until then
  next_at         timestamptz not null,
  -- how far it was read: the value of the changed column and of the key, as text
  mark            text[] check (cardinality(mark) = 2),
  -- how far it had been read at the last second look, and at the one before; a row may be committed late
  trail           text[] check (cardinality(trail) = 2),
  trailed_at      timestamptz not null,
  before          text[] check (cardinality(before) = 2),
  read_at         timestamptz,
  error           text not null default ''
);

-- Rows that cannot be called as they are, and why; gone once they can.
create table source_rejects (
  campaign_id     uuid not null references campaigns (id),
  key             text not null,
  reason          text not null check (reason <> ''),
  at              timestamptz not null,
  primary key (campaign_id, key)
);

alter table contacts
  add column from_row boolean not null default false,
  -- the end was written back to the row
  add column written_at timestamptz;
create index contacts_of_rows on contacts (campaign_id, due_at) where from_row and state = 'waiting';
create index contacts_to_write on contacts (campaign_id, id) where from_row and state = 'closed' and written_at is null;

-- How contacts stand, for people who read it with SQL: the key is the list's, the event's, or the row's.
create view outcomes as
select c.id as contact_id, p.name as campaign, c.key, c.phone, c.name, c.state, c.disposition, c.reason, c.attempts,
       coalesce((select sum(a.credits) from attempts a where a.contact_id = c.id), 0) as credits,
       (select max(a.began_at) from attempts a where a.contact_id = c.id) as last_call_at,
       c.due_at, c.created_at, c.closed_at
from contacts c join campaigns p on p.id = c.campaign_id;
