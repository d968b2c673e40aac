-- Suppressions without the number: hashed lists of others, and persons who were erased. Whoever lifts one says why.
--
--   add, import, report, erase   insert, or prolong
--   remove                       moved to lifted, for good
--
-- A suppression names its number in one way: the number itself, or a digest of it. keyed is HMAC-SHA256 with
-- keys.secret, of a person who was erased; the others are plain digests of the number as lists hold them.
alter table suppressions
  alter column phone drop not null,
  add column algorithm text check (algorithm in ('sha256', 'sha1', 'md5', 'keyed')),
  add column digest bytea,
  add constraint names_one_number check ((phone is null) = (digest is not null)),
  add constraint digest_of_a_kind check ((digest is null) = (algorithm is null));

drop index suppressed_once;
create unique index suppressed_once on suppressions (phone, campaign_id) nulls not distinct where phone is not null;
create unique index suppressed_digest_once on suppressions (digest, campaign_id) nulls not distinct
  where digest is not null;

create table lifted (
  id          uuid primary key,
  phone       text,
  algorithm   text,
  digest      bytea,
  campaign_id uuid,
  source      text not null,
  reason      text not null,
  actor       text not null,
  added_at    timestamptz not null,
  expires_at  timestamptz,
  lifted_at   timestamptz not null,
  lifted_by   text not null,
  why         text not null check (why <> '')
);
create index lifted_phone on lifted (phone) where phone is not null;

-- The secret of keyed digests. It lies in the database because every daemon must have the same: it keeps the numbers
-- out of exports, backups of single tables and eyes, not from whoever takes the whole database.
create table keys (
  name   text primary key,
  secret bytea not null check (length(secret) >= 32)
);

-- A person who was erased is a name without meaning, and can only be closed.
alter table contacts drop constraint contacts_phone_check;
alter table contacts add constraint contacts_phone_check check (
  phone ~ '^\+[1-9][0-9]{1,14}$'
  or (phone ~ '^erased:[0-9a-f]{32}$' and state = 'closed' and name is null and email is null and metadata = '{}'));
