-- The post-call webhooks as they came, and the credits they book.

-- received    -> applied | unmatched | quarantined
-- unmatched   -> applied (replay, attach) | ignored
-- quarantined -> applied | ignored (a person)
-- revision    same key, other body: kept, flagged, books nothing
create table reports (
  id              uuid primary key,
  agent           text not null,
  type            text not null,
  -- the permanent key: the provider's call_id, or sha256:<hex> of the body where there is none
  key             text not null,
  call_id         text,
  phone           text,
  started_at      timestamptz,
  credits         numeric(18, 6),
  -- the bytes whose signature matched; everything else is read from them
  body            bytea not null,
  sha256          bytea not null,
  form            text not null,
  received_at     timestamptz not null,
  state           text not null check (state in ('applied', 'unmatched', 'quarantined', 'ignored', 'revision')),
  attempt_id      uuid,
  -- how it was matched (id, token, window, person), or why not
  rule            text not null default '',
  reason          text not null default '',
  -- when the next replay is due; null: never by itself
  replay_at       timestamptz,
  replays         integer not null default 0,
  constraint applied_to_an_attempt check ((state = 'applied') = (attempt_id is not null))
) with (fillfactor = 80);
create unique index reports_once on reports (agent, type, key) where state <> 'revision';
create unique index revisions_once on reports (agent, type, key, sha256) where state = 'revision';
create unique index one_report_per_attempt on reports (attempt_id) where state = 'applied';
create index reports_to_replay on reports (replay_at) where state = 'unmatched';
create index reports_unmatched_phone on reports (phone) where state = 'unmatched';

-- Append-only. campaign_id null is the suspense account: authentic reports that belong to no attempt of ours.
create table ledger (
  id              uuid primary key,
  campaign_id     uuid references campaigns (id),
  report_id       uuid not null references reports (id),
  attempt_id      uuid,
  -- report: the booking of a report, once. transfer: out of suspense into a campaign. correction: a person's.
  kind            text not null check (kind in ('report', 'transfer', 'correction')),
  credits         numeric(18, 6) not null,
  booked_at       timestamptz not null,
  actor           text not null,
  reason          text not null default '',
  constraint report_books_what_it_says check (kind <> 'report' or credits >= 0)
);
create unique index ledger_books_a_report_once on ledger (report_id) where kind = 'report';
create index ledger_by_campaign on ledger (campaign_id, booked_at);
