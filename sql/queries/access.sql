-- tokens: who may use the API. idempotency: what was answered to whom.

-- name: insert_token(id, name, role, digest, created_by, expires_at, now)^
-- A new token; no row: one of this name is in force.
insert into tokens (id, name, role, digest, created_at, created_by, expires_at)
values (:id, :name, :role, :digest, :now, :created_by, :expires_at)
on conflict do nothing
returning id;

-- name: find_token(digest, now)^
-- A token in force.
select id, name, role, used_at from tokens
where digest = :digest and revoked_at is null and (expires_at is null or expires_at > :now);

-- name: use_token(id, now)!
-- It was used; noted once a minute at most.
update tokens set used_at = :now where id = :id and (used_at is null or used_at < :now::timestamptz - interval '1 minute');

-- name: list_tokens()
-- Every token, without what it opens.
select id, name, role, created_at, created_by, expires_at, used_at, revoked_at from tokens order by created_at, id;

-- name: revoke_token(name, now)^
-- It opens nothing from now on; no row: none of this name was in force.
update tokens set revoked_at = :now where name = :name and revoked_at is null returning id;

-- name: claim_answer(actor, key, request, now)^
-- The first of its key; no row: there was one, and this one waits until that has committed.
insert into idempotency (actor, key, request, status, answer, at) values (:actor, :key, :request, 0, 'null', :now)
on conflict do nothing
returning key;

-- name: given_answer(actor, key)^
-- What was answered.
select request, status, answer from idempotency where actor = :actor and key = :key;

-- name: keep_answer(actor, key, status, answer)!
-- What is answered, kept in the transaction of what it tells of.
update idempotency set status = :status, answer = :answer where actor = :actor and key = :key;

-- name: forget_answers(before)!
-- Nobody asks again after so long.
delete from idempotency where at < :before;

-- name: insert_session(digest, name, role, csrf, expires_at, now)!
-- Somebody signed in.
insert into sessions (digest, name, role, csrf, created_at, expires_at)
values (:digest, :name, :role, :csrf, :now, :expires_at);

-- name: find_session(digest, now)^
-- Who is signed in; not whose token was revoked meanwhile.
select s.name, s.role, s.csrf from sessions s
where s.digest = :digest and s.expires_at > :now
  and not exists (select 1 from tokens t where t.name = s.name and t.revoked_at > s.created_at);

-- name: end_session(digest)!
-- Signed out.
delete from sessions where digest = :digest;

-- name: forget_sessions(now)!
-- Sessions and links that are over.
with gone as (delete from links where expires_at < :now)
delete from sessions where expires_at < :now;

-- name: insert_link(digest, name, role, expires_at, now)!
-- A link that signs somebody in once.
insert into links (digest, name, role, created_at, expires_at) values (:digest, :name, :role, :now, :expires_at);

-- name: use_link(digest, now)^
-- Its one use; no row: it is none, is over, or was used.
update links set used_at = :now where digest = :digest and used_at is null and expires_at > :now
returning name, role;

-- name: any_access()$
-- Whether anybody can sign in.
select exists (select 1 from tokens where revoked_at is null) or exists (select 1 from links);
