-- reports: the post-call webhooks as they came.
--
--   webhook   inserts applied, unmatched or quarantined; the same key again inserts nothing, the same key with
--             another body inserts a revision
--   replay    unmatched -> applied, when an attempt of its number changed or its time has come
--   person    unmatched, quarantined -> applied (attach) | ignored

-- name: known_reports(agents, types, keys, secret)
-- Which of these are stored already, and with which body; and the secret of erasures, of which each batch wants to know.
select k.agent, k.type, k.key, r.sha256, (select secret from keys where name = :secret) as secret
from unnest(:agents::text[], :types::text[], :keys::text[]) as k(agent, type, key)
left join reports r on r.agent = k.agent and r.type = k.type and r.key = k.key and r.state <> 'revision';

-- name: insert_reports(ids, agents, types, keys, call_ids, phones, started_ats, credits, bodies, shas, forms, states, attempts, campaigns, rules, reasons, replay_ats, received_ats, entries, now)
-- Store reports once each, and book the credits of each that is stored, once: on its campaign, or in suspense. Those not
-- returned were stored by someone else.
with coming as materialized (
  select *
  from unnest(:ids::uuid[], :agents::text[], :types::text[], :keys::text[], :call_ids::text[], :phones::text[],
              :started_ats::timestamptz[], :credits::numeric[], :bodies::bytea[], :shas::bytea[], :forms::text[],
              :states::text[], :attempts::uuid[], :campaigns::uuid[], :rules::text[],
              :reasons::text[], :replay_ats::timestamptz[], :received_ats::timestamptz[], :entries::uuid[])
       as r(id, agent, type, key, call_id, phone, started_at, credits, body, sha256, form, state, attempt_id,
            campaign_id, rule, reason, replay_at, received_at, entry_id)
), stored as (
  insert into reports (id, agent, type, key, call_id, phone, started_at, credits, body, sha256, form, received_at,
                       state, attempt_id, rule, reason, replay_at)
  select id, agent, type, key, call_id, phone, started_at, credits, body, sha256, form, received_at,
         state, attempt_id, rule, reason, replay_at
  from coming
  on conflict do nothing
  returning id
), booked as (
  insert into ledger (id, campaign_id, agent, report_id, attempt_id, kind, credits, booked_at, actor, reason)
  select c.entry_id, c.campaign_id, c.agent, c.id, c.attempt_id, 'report', c.credits, :now, 'webhook', 'report'
  from coming c join stored s on s.id = c.id
  where c.credits is not null and c.state in ('applied', 'unmatched')
)
select id from stored;

-- name: due_for_replay(now, ids, most)
-- Unmatched reports whose time has come, and those that are asked for, locked.
select id, agent, type, key, call_id, phone, started_at, credits, body, replays
from reports
where state = 'unmatched' and (replay_at <= :now or id = any(:ids::uuid[]))
order by id limit :most
for update skip locked;

-- name: match_reports(ids, attempts, rules, reasons)!
-- Unmatched reports found their attempts.
update reports r set state = 'applied', attempt_id = m.attempt_id, rule = m.rule, reason = m.reason, replay_at = null
from unnest(:ids::uuid[], :attempts::uuid[], :rules::text[], :reasons::text[]) as m(id, attempt_id, rule, reason)
where r.id = m.id and r.state = 'unmatched';

-- name: postpone_replays(ids, replay_ats, reasons)!
-- Not matched this time either.
update reports r set replay_at = p.replay_at, replays = r.replays + 1, reason = p.reason
from unnest(:ids::uuid[], :replay_ats::timestamptz[], :reasons::text[]) as p(id, replay_at, reason)
where r.id = p.id and r.state = 'unmatched';

-- name: lock_report(id)^
-- One report, locked for a person's decision; a replay passes it over meanwhile.
select id, agent, type, key, call_id, phone, started_at, credits, body, state, attempt_id, rule, reason, replays
from reports where id = :id for update;

-- name: attach_report(id, attempt_id, credits, reason)^
-- A person says whose it is.
update reports set state = 'applied', attempt_id = :attempt_id, rule = 'person', credits = :credits, reason = :reason,
       replay_at = null
where id = :id and state in ('unmatched', 'quarantined')
returning id;

-- name: ignore_report(id, reason)^
-- A person says that it is nobody's of ours. What is booked stays in suspense; what is not, never is.
update reports set state = 'ignored', credits = case when state = 'unmatched' then credits end, reason = :reason,
       replay_at = null
where id = :id and state in ('unmatched', 'quarantined')
returning id;

-- name: inbox(states, after, most)
-- What a person may want to look at, in order of id: what is not applied, and what was applied with a doubt.
select id, agent, type, key, call_id, phone, started_at, credits, received_at, state, attempt_id, rule, reason,
       replay_at, replays
from reports
where (state in ('unmatched', 'quarantined', 'revision') or (state = 'applied' and reason <> '' and rule <> 'person')
       or (state = 'ignored' and state = any(:states::text[])))
  and (:states::text[] is null or state = any(:states::text[])) and (:after::uuid is null or id > :after::uuid)
order by id limit :most;

-- name: get_report(id)^
-- One report, with its body.
select id, agent, type, key, call_id, phone, started_at, credits, body, form, received_at, state, attempt_id, rule, reason,
       replay_at, replays
from reports where id = :id;

-- name: agents_ids(looked)
-- What the matched among the latest reports of each agent tell: by rule, how many, how many had two ids to compare, and
-- in how many they were equal.
select g.name as agent, r.rule, count(*) as reports,
       count(*) filter (where r.call_id is not null and a.provider_call_id is not null) as compared,
       count(*) filter (where r.call_id = a.provider_call_id) as equal
from agents g
cross join lateral (
  select call_id, rule, attempt_id, state from reports where agent = g.name order by id desc limit :looked
) r
join attempts a on a.id = r.attempt_id
where r.state = 'applied'
group by g.name, r.rule order by g.name, r.rule;

-- name: last_forms()
-- The form of the signature of each agent's latest report.
select g.name as agent, f.form
from agents g
cross join lateral (select form from reports r where r.agent = g.name order by r.id desc limit 1) f;

-- name: lately_applied(agents, looked)
-- The latest reports that were applied without a doubt, among the latest of all: what they teach of these agents.
select agent, rule, body
from (select agent, rule, body, state, reason from reports order by id desc limit :looked) r
where agent = any(:agents::text[]) and state = 'applied' and reason = '';

-- name: report_counts()
-- Reports by state. Each that is applied has closed one attempt, and those are tallied.
select state, count(*) as reports from reports where state <> 'applied' group by state
union all
select 'applied', coalesce(sum(calls), 0)::bigint from call_counts where state = 'reported';

-- name: reports_of_contact(contact)
-- What the reports of a contact's calls said.
select a.id as attempt_id, r.body from attempts a join reports r on r.id = a.report_id where a.contact_id = :contact;
