-- What an agent has met lately, shared by all daemons: strain counts refusals since the last success, and while it is
-- above nothing one probe at a time goes out; slowed is the part of its rate since slowed_at, which grows back by itself.
alter table agents
  add column strain integer not null default 0 check (strain >= 0),
  add column slowed numeric not null default 1 check (slowed > 0 and slowed <= 1),
  add column slowed_at timestamptz;
