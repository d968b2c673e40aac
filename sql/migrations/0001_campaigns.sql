-- Campaigns, the agents that ring for them, and the buckets that pace both.

-- An agent as it stands at the provider: its limits and secrets are settings, its pauses are kept here.
create table agents (
  name            text primary key,
  state           text not null default 'active' check (state in ('active', 'paused')),
  reason          text not null default '',
  -- rings nobody before this instant (429)
  blocked_until   timestamptz,
  -- keyed mark of the API key in force when it was paused; another key lifts the pause
  key_mark        text not null default '',
  changed_at      timestamptz not null
);

-- draft    -> active (start by hand, by schedule.starts or by cron) | stopped
-- active   -> paused | stopped | finished
-- paused   -> active | stopped
-- finished -> draft (new contacts) | active (start)
-- stopped  is the end
create table campaigns (
  id              uuid primary key,
  name            text not null unique check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  agent           text not null,
  state           text not null check (state in ('draft', 'active', 'paused', 'stopped', 'finished')),
  reason          text not null default '',
  -- the version in force: campaign_versions holds every one that was applied
  version         integer not null check (version >= 1),
  created_at      timestamptz not null,
  changed_at      timestamptz not null
);
create index campaigns_by_agent on campaigns (agent) where state = 'active';

-- Each applied version is kept, and is never changed.
create table campaign_versions (
  campaign_id     uuid not null references campaigns (id),
  version         integer not null check (version >= 1),
  -- the campaign file as the model reads it, and as it was written
  definition      jsonb not null,
  source          text not null,
  checksum        text not null,
  applied_at      timestamptz not null,
  actor           text not null,
  primary key (campaign_id, version)
);

-- One row for each start that the schedule asked for. The occasion is the local date and minute with its zone, so that
-- the autumn hour, which a clock shows twice, fires once; the key is what makes N daemons fire once together.
create table starts (
  campaign_id     uuid not null references campaigns (id),
  occasion        text not null,
  scheduled_for   timestamptz not null,
  fired_at        timestamptz not null,
  released        integer not null,
  primary key (campaign_id, occasion)
);

-- A token bucket by absolute times (GCRA): the next call may begin at next_at. One row for 'agent:<name>' and one
-- for 'campaign:<id>'. A restart reads the same row, so it grants no new burst.
create table buckets (
  key             text primary key,
  next_at         timestamptz not null
) with (fillfactor = 50);

-- What each campaign spent, kept by the same transaction that writes the ledger: for showing and for the gate.
-- The ledger is the truth; the audit compares the two.
create table spend (
  campaign_id     uuid primary key references campaigns (id),
  spent           numeric(18, 6) not null default 0
) with (fillfactor = 50);

-- The daemons: seen_at is a heartbeat, and the last word of one that left. While none was seen, no report could be
-- taken, so no wait for a report ran.
create table daemons (
  id              uuid primary key,
  host            text not null,
  pid             integer not null,
  started_at      timestamptz not null,
  seen_at         timestamptz not null,
  left_at         timestamptz
);
