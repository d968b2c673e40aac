-- outbox: what targets are told. Written with what it tells of; sent at least once, in order for each contact.

-- name: put(ids, targets, campaigns, contacts, attempts, rules, dispositions, messages, states, details, now)!
-- Write notices, once for each attempt, rule and disposition.
insert into outbox (id, target, campaign_id, contact_id, attempt_id, rule, disposition, message, state, due_at, detail, created_at,
                    ended_at)
select n.id, n.target, n.campaign, n.contact, n.attempt, n.rule, n.disposition, n.message::jsonb, n.state, :now, n.detail, :now,
       case when n.state = 'dead' then :now::timestamptz end
from unnest(:ids::uuid[], :targets::text[], :campaigns::uuid[], :contacts::uuid[], :attempts::uuid[], :rules::int[],
            :dispositions::text[], :messages::text[], :states::text[], :details::text[])
     as n(id, target, campaign, contact, attempt, rule, disposition, message, state, detail)
on conflict do nothing;

-- name: claim_notices(now, until, most, targets)
-- Take notices that are due, for as long as a sending may last; whoever dies with them lets them be sent again. An
-- earlier one of the same contact to the same target goes first.
update outbox o set due_at = :until, tries = o.tries + 1
from (
  select n.id from outbox n
  where n.state = 'waiting' and n.due_at <= :now and n.target = any(:targets::text[])
    and not exists (select 1 from outbox b
                    where b.contact_id = n.contact_id and b.target = n.target and b.state = 'waiting' and b.id < n.id)
  order by n.due_at, n.id limit :most for update skip locked
) due
where o.id = due.id
returning o.id, o.target, o.message, o.tries, o.created_at;

-- name: sent(id, detail, now)!
-- It was taken.
update outbox set state = 'sent', detail = :detail, ended_at = :now where id = :id and state = 'waiting';

-- name: postpone(id, due_at, detail)!
-- It was not; again later.
update outbox set due_at = :due_at, detail = :detail where id = :id and state = 'waiting';

-- name: bury(id, detail, now)!
-- Nobody will take it as it is.
update outbox set state = 'dead', detail = :detail, ended_at = :now where id = :id and state = 'waiting';

-- name: next_notice(targets)$
-- When the next one is due.
select min(due_at) from outbox where state = 'waiting' and target = any(:targets::text[]);

-- name: list_notices(state, target, after, most)
-- The latest notices; with ``after`` those behind that one.
select o.id, o.target, p.name as campaign, o.contact_id, o.state, o.tries, o.due_at, o.detail, o.created_at, o.ended_at
from outbox o join campaigns p on p.id = o.campaign_id
where (:state::text is null or o.state = :state) and (:target::text is null or o.target = :target)
  and (:after::uuid is null
       or (o.created_at, o.id) < (select x.created_at, x.id from outbox x where x.id = :after::uuid))
order by o.created_at desc, o.id desc limit :most;

-- name: get_notice(id)^
-- One, with what it says.
select o.id, o.target, p.name as campaign, o.contact_id, o.attempt_id, o.message, o.state, o.tries, o.due_at, o.detail,
       o.created_at, o.ended_at
from outbox o join campaigns p on p.id = o.campaign_id where o.id = :id;

-- name: contact_notices(contact)
-- What was told of a contact.
select o.id, o.target, o.attempt_id, o.disposition, o.state, o.tries, o.detail, o.created_at, o.ended_at
from outbox o where o.contact_id = :contact order by o.id;

-- name: replay_notices(ids, now)
-- A person has mended what was wrong: send dead ones again.
update outbox set state = 'waiting', due_at = :now, tries = 0, ended_at = null
where state = 'dead' and (:ids::uuid[] is null or id = any(:ids))
returning id;

-- name: count_states()
-- How many notices wait, and how many nobody took.
select state, count(*) as number from outbox where state in ('waiting', 'dead') group by state;
