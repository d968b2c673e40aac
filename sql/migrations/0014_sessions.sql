-- Who is signed in at the console, and links that sign somebody in once.

create table sessions (
  digest          bytea primary key check (octet_length(digest) = 32),
  name            text not null,
  role            text not null check (role in ('viewer', 'operator', 'admin')),
  -- what every change must bear beside the cookie
  csrf            text not null,
  created_at      timestamptz not null,
  expires_at      timestamptz not null
);

create table links (
  digest          bytea primary key check (octet_length(digest) = 32),
  name            text not null,
  role            text not null check (role in ('viewer', 'operator', 'admin')),
  created_at      timestamptz not null,
  expires_at      timestamptz not null,
  used_at         timestamptz
);
