-- Imports as the console shows them: how far, by whom, why they broke off, and what was refused.

alter table imports
  -- bytes of the list, and of them read
  add column size      bigint not null default 0,
  add column position  bigint not null default 0,
  add column actor     text not null default '',
  add column dry_run   boolean not null default false,
  -- the last chunk; one that has not ended and has been silent for long was killed
  add column told_at   timestamptz,
  -- why it broke off
  add column failure   text not null default '',
  -- the reject file, gzip; of lists that came by the API, until somebody is erased or a month has passed
  add column rejects   bytea,
  add constraint failed_has_ended check (failure = '' or ended_at is not null);

create index imports_by_time on imports (started_at, id);
