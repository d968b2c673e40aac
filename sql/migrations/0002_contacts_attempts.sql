-- Contacts wait, are called, are closed. Attempts are the tries: one row, at most one POST, ever.

-- waiting -> calling (gate) | closed (expired, suppressed, stopped, rejected)
-- calling -> closed (report, refusal) | waiting (retry: costs no attempt; re-attempt: the cadence)
-- closed  -> closed (a late report upgrades the disposition)
create table contacts (
  id              uuid primary key,
  campaign_id     uuid not null references campaigns (id),
  -- what makes this contact one and the same: the phone for a list, the event for a trigger
  key             text not null,
  phone           text not null check (phone ~ '^\+[1-9][0-9]{1,14}$'),
  name            text,
  email           text,
  metadata        jsonb not null default '{}',
  -- candidate time zones, an explicit one alone; every one must be open
  zones           text[] not null default '{}',
  region          text,
  state           text not null check (state in ('waiting', 'calling', 'closed')),
  -- asked_at: when the list, the trigger or the cadence wants the call. due_at: the same or later, moved by a rule.
  -- Both are 'infinity' while the contact waits for the next start of its campaign.
  asked_at        timestamptz not null,
  due_at          timestamptz not null,
  -- why due_at is later than asked_at, or why the contact was closed
  reason          text not null default '',
  -- tries: rows in attempts. attempts: those that count against the cadence.
  tries           integer not null default 0 check (tries >= 0),
  attempts        integer not null default 0 check (attempts >= 0),
  -- consecutive 5xx answers
  errors          integer not null default 0 check (errors >= 0),
  -- marks of the next attempt, such as redial_after_500
  marks           text[] not null default '{}',
  disposition     text check (disposition in ('answered', 'voicemail', 'no_answer', 'busy', 'failed',
                    'invalid_number', 'do_not_call', 'callback_requested', 'no_report')),
  expires_at      timestamptz,
  created_at      timestamptz not null,
  closed_at       timestamptz,
  constraint closed_says_when_and_why check ((state = 'closed') = (closed_at is not null) and (state <> 'closed' or reason <> '')),
  constraint due_is_never_early check (due_at >= asked_at)
) with (fillfactor = 80);
create unique index contacts_once on contacts (campaign_id, key);
-- one open contact for a number in a campaign
create unique index contacts_open_phone on contacts (campaign_id, phone) where state <> 'closed';
-- the claim: holds only waiting rows, so it stays small
create index contacts_due on contacts (campaign_id, due_at, id) where state = 'waiting';
create index contacts_waiting_phone on contacts (phone) where state = 'waiting';
create index contacts_expiring on contacts (expires_at) where state = 'waiting' and expires_at is not null;

-- dialing    -> placed | reported (webhook before the answer) | not_placed | aborted | unknown (no answer, or crash)
-- placed     -> reported | unreported (no report by the horizon)
-- unknown    -> reported | placed | not_placed (the answer came after all) | unreported (hold is over)
-- unreported -> reported (late truth)
-- reported, not_placed, aborted are ends
create table attempts (
  id              uuid primary key,
  contact_id      uuid not null references contacts (id),
  campaign_id     uuid not null references campaigns (id),
  campaign_version integer not null,
  agent           text not null,
  phone           text not null,
  number          integer not null check (number >= 1),
  state           text not null check (state in ('dialing', 'placed', 'reported', 'not_placed', 'aborted', 'unknown', 'unreported')),
  -- what was seen: placed, throttled, rejected, unauthorized, server_error, not_sent, unconfirmed, lost …
  cause           text not null default '',
  detail          text not null default '',
  marks           text[] not null default '{}',
  -- credits set aside while the attempt is live
  reserved        numeric(18, 6) not null check (reserved >= 0),
  daemon          uuid not null,
  began_at        timestamptz not null,
  slot_at         timestamptz not null,
  answered_at     timestamptz,
  http_status     integer,
  provider_call_id text,
  -- when the rescue looks at it; null in unknown: a person decides (strict)
  resolve_at      timestamptz,
  report_id       uuid,
  report_call_id  text,
  disposition     text check (disposition in ('answered', 'voicemail', 'no_answer', 'busy', 'failed',
                    'invalid_number', 'do_not_call', 'callback_requested', 'no_report')),
  credits         numeric(18, 6),
  closed_at       timestamptz,
  constraint live_or_closed check ((state in ('dialing', 'placed', 'unknown')) = (closed_at is null)),
  constraint reserved_while_live check (closed_at is null or reserved = 0),
  constraint watched_while_live check (closed_at is not null or resolve_at is not null or state = 'unknown'),
  constraint reported_has_report check ((state = 'reported') = (report_id is not null)),
  constraint number_once unique (contact_id, number)
) with (fillfactor = 80);
-- These two make a double call impossible, whatever the code does.
create unique index one_live_attempt_per_phone on attempts (phone) where state in ('dialing', 'placed', 'unknown');
create unique index one_live_attempt_per_contact on attempts (contact_id) where state in ('dialing', 'placed', 'unknown');
create unique index one_attempt_per_report on attempts (report_id) where report_id is not null;
-- lines in use and reservations
create index attempts_live on attempts (agent, campaign_id) include (reserved) where state in ('dialing', 'placed', 'unknown');
create index attempts_to_resolve on attempts (resolve_at) where state in ('dialing', 'placed', 'unknown');
-- matching a report, and calls to a number lately
create index attempts_by_phone on attempts (phone, began_at);
create index attempts_by_call on attempts (provider_call_id) where provider_call_id is not null;
create index attempts_by_campaign on attempts (campaign_id, began_at);

-- Numbers that must not be rung: everywhere (no campaign) or in one campaign.
create table suppressions (
  id              uuid primary key,
  phone           text not null check (phone ~ '^\+[1-9][0-9]{1,14}$'),
  campaign_id     uuid references campaigns (id),
  source          text not null,
  reason          text not null,
  actor           text not null,
  added_at        timestamptz not null,
  expires_at      timestamptz
);
create unique index suppressed_once on suppressions (phone, campaign_id) nulls not distinct;

-- Every change of state: who, when and why. Append-only.
create table history (
  id              bigint generated always as identity primary key,
  at              timestamptz not null,
  actor           text not null,
  campaign_id     uuid,
  contact_id      uuid,
  attempt_id      uuid,
  -- what it became: an attempt's, a contact's or a campaign's state
  state           text not null,
  reason          text not null
);
create index history_of_contact on history (contact_id, id) where contact_id is not null;
create index history_of_campaign on history (campaign_id, id) where contact_id is null;

-- Each import, so that one that was killed is seen.
create table imports (
  id              uuid primary key,
  campaign_id     uuid not null references campaigns (id),
  file            text not null,
  started_at      timestamptz not null,
  ended_at        timestamptz,
  read            bigint not null default 0,
  added           bigint not null default 0,
  present         bigint not null default 0,
  rejected        bigint not null default 0
);
