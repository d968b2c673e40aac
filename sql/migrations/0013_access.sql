-- Who may use the console and the API, and what was already done for a request that is repeated.

-- A token is 32 random bytes; what is kept is its SHA-256, which needs no salt.
create table tokens (
  id              uuid primary key,
  name            text not null check (name <> ''),
  role            text not null check (role in ('viewer', 'operator', 'admin')),
  digest          bytea not null unique check (octet_length(digest) = 32),
  created_at      timestamptz not null,
  created_by      text not null,
  expires_at      timestamptz,
  used_at         timestamptz,
  revoked_at      timestamptz
);
create unique index tokens_by_name on tokens (name) where revoked_at is null;

-- The answer to a request that bears an Idempotency-Key, kept with what the request did.
create table idempotency (
  actor           text not null,
  key             text not null,
  request         bytea not null check (octet_length(request) = 32),
  status          integer not null,
  answer          jsonb not null,
  at              timestamptz not null,
  primary key (actor, key)
);
create index idempotency_by_time on idempotency (at);
