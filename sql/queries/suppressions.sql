-- suppressions: numbers that must not be rung, everywhere (campaign_id null) or in one campaign.
--
--   add, import, report, erase   insert, or prolong
--   remove                       moved to lifted, with who and why

-- name: suppress(ids, phones, campaign_id, source, reason, actor, expires_at, now)
-- Suppress numbers; those not returned were suppressed already, for as long or for longer. Where one was suppressed
-- for a time, or its time is over, the later end and its reason stand.
insert into suppressions (id, phone, campaign_id, source, reason, actor, added_at, expires_at)
select distinct on (phone) id, phone, :campaign_id::uuid, :source, :reason, :actor, :now, :expires_at::timestamptz
from unnest(:ids::uuid[], :phones::text[]) as s(id, phone)
order by phone
on conflict (phone, campaign_id) where phone is not null do update
set source = excluded.source, reason = excluded.reason, actor = excluded.actor, added_at = excluded.added_at,
    expires_at = excluded.expires_at
where suppressions.expires_at < coalesce(excluded.expires_at, 'infinity')
returning phone;

-- name: suppress_digests(ids, algorithms, digests, campaign_id, source, reason, actor, expires_at, now)
-- The same for digests of numbers.
insert into suppressions (id, algorithm, digest, campaign_id, source, reason, actor, added_at, expires_at)
select distinct on (digest) id, algorithm, digest, :campaign_id::uuid, :source, :reason, :actor, :now,
       :expires_at::timestamptz
from unnest(:ids::uuid[], :algorithms::text[], :digests::bytea[]) as s(id, algorithm, digest)
order by digest
on conflict (digest, campaign_id) where digest is not null do update
set source = excluded.source, reason = excluded.reason, actor = excluded.actor, added_at = excluded.added_at,
    expires_at = excluded.expires_at
where suppressions.expires_at < coalesce(excluded.expires_at, 'infinity')
returning digest;

-- name: suppressed_digests(digests, now)
-- Which of these digests are suppressed, where and why.
select s.digest, s.algorithm, s.campaign_id, s.reason from suppressions s
where s.digest = any(:digests::bytea[]) and (s.expires_at is null or s.expires_at > :now)
order by s.campaign_id nulls first;

-- name: lift(phones, digests, campaign_id, everywhere, why, actor, now)
-- Take suppressions away, and keep who did and why. Of one campaign, or (everywhere) those that hold for all.
with gone as (
  delete from suppressions
  where (phone = any(:phones::text[]) or digest = any(:digests::bytea[]))
    and (campaign_id = :campaign_id::uuid or (:everywhere::boolean and campaign_id is null))
  returning id, phone, algorithm, digest, campaign_id, source, reason, actor, added_at, expires_at
)
insert into lifted (id, phone, algorithm, digest, campaign_id, source, reason, actor, added_at, expires_at, lifted_at,
                    lifted_by, why)
select id, phone, algorithm, digest, campaign_id, source, reason, actor, added_at, expires_at, :now, :actor, :why
from gone
returning id, phone, algorithm, reason;

-- name: list_suppressions(campaign, after, most)
-- Suppressions in order of id; of one campaign, or all.
select s.id, s.phone, s.algorithm, encode(s.digest, 'hex') as digest, p.name as campaign, s.source, s.reason, s.actor,
       s.added_at, s.expires_at
from suppressions s left join campaigns p on p.id = s.campaign_id
where (:campaign::text is null or p.name = :campaign) and (:after::uuid is null or s.id > :after::uuid)
order by s.id limit :most;

-- name: suppressions_of(phones, digests)
-- All that holds for a number, in force or not.
select s.id, s.phone, s.algorithm, encode(s.digest, 'hex') as digest, p.name as campaign, s.source, s.reason, s.actor,
       s.added_at, s.expires_at
from suppressions s left join campaigns p on p.id = s.campaign_id
where s.phone = any(:phones::text[]) or s.digest = any(:digests::bytea[])
order by s.id;

-- name: lifted_of(phones, digests)
-- What was lifted of a number, by whom and why.
select l.id, p.name as campaign, l.source, l.reason, l.actor, l.added_at, l.lifted_at, l.lifted_by, l.why
from lifted l left join campaigns p on p.id = l.campaign_id
where l.phone = any(:phones::text[]) or l.digest = any(:digests::bytea[])
order by l.lifted_at;

-- name: secret(name)$
-- A secret of the database's own, if there is one.
select secret from keys where name = :name;

-- name: make_secret(name, secret)!
-- Make it, unless somebody has.
insert into keys (name, secret) values (:name, :secret) on conflict do nothing;

-- name: erased_digests(digests)
-- Those of these keyed digests that are of persons who were erased.
select digest from suppressions where digest = any(:digests::bytea[]) and algorithm = 'keyed';
