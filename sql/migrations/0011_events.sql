-- Events in, notices out: what other systems tell of, whom it enrols, and what they are told in turn.

-- An event, kept once by its sender's id before it is acknowledged. What came of it can change: it can be replayed.
create table events (
  id              uuid primary key,
  source          text not null,
  external_id     text not null,
  kind            text not null default '',
  -- numbers with a fraction are texts, so that no digit is lost
  data            jsonb not null,
  received_at     timestamptz not null,
  -- taken: it enrolled or cancelled somebody. ignored: no trigger wants it. unmapped: one wants it and cannot read it.
  state           text not null check (state in ('taken', 'ignored', 'unmapped')),
  reason          text not null default '',
  constraint unmapped_says_why check (state <> 'unmapped' or reason <> '')
);
create unique index events_once on events (source, external_id);
create index events_by_time on events (received_at, id);

-- A sender may tell of the end before the beginning: who was cancelled so is not enrolled later.
create table cancels (
  campaign_id     uuid not null references campaigns (id),
  key             text not null,
  event_id        uuid not null references events (id),
  at              timestamptz not null,
  primary key (campaign_id, key)
);

-- Where a contact came from: an event, or an earlier contact that it follows (depth: how many before it).
alter table contacts add column event_id uuid references events (id);
alter table contacts add column parent_id uuid references contacts (id);
alter table contacts add column depth integer not null default 0 check (depth >= 0);
create index contacts_of_event on contacts (event_id) where event_id is not null;
create index contacts_that_follow on contacts (parent_id) where parent_id is not null;

-- waiting -> sent | dead (refused for good, or tried too often) ; dead -> waiting (replayed by a person)
create table outbox (
  id              uuid primary key,
  target          text not null,
  campaign_id     uuid not null references campaigns (id),
  contact_id      uuid not null references contacts (id),
  attempt_id      uuid not null references attempts (id),
  rule            integer not null,
  disposition     text not null,
  message         jsonb not null,
  state           text not null check (state in ('waiting', 'sent', 'dead')),
  tries           integer not null default 0 check (tries >= 0),
  due_at          timestamptz not null,
  detail          text not null default '',
  created_at      timestamptz not null,
  ended_at        timestamptz,
  constraint ended_or_waiting check ((state = 'waiting') = (ended_at is null)),
  constraint dead_says_why check (state <> 'dead' or detail <> '')
) with (fillfactor = 80);
-- an attempt is told of once by a rule, whatever comes again; and once more if a late report says that it ended otherwise
create unique index outbox_once on outbox (attempt_id, rule, disposition);
create index outbox_due on outbox (due_at) where state = 'waiting';
-- the order of one contact's notices to one target
create index outbox_in_order on outbox (contact_id, target, id) where state = 'waiting';
create index outbox_by_time on outbox (created_at, id);
