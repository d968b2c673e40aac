"""What must hold at every instant, asked of the database in one reading: any row is a fault."""

import asyncpg

HOLDS = """
with live as (select * from attempts where state in ('dialing', 'placed', 'unknown')),
     moves as (
       select attempt_id, state, lag(state) over (partition by attempt_id order by id) as before
       from history where attempt_id is not null)
select 'two live attempts of a number' as fault, phone as detail from live group by phone having count(*) > 1
union all
select 'two live attempts of a contact', contact_id::text from live group by contact_id having count(*) > 1
union all
select 'calling without a live attempt, or the other way round', c.id::text from contacts c
where (c.state = 'calling') <> exists (select 1 from live a where a.contact_id = c.id)
union all
select 'tries are not the rows', c.id::text from contacts c
where c.tries <> (select count(*) from attempts a where a.contact_id = c.id)
union all
select 'reserved, and not live', id::text from attempts
where reserved <> 0 and state not in ('dialing', 'placed', 'unknown')
union all
select 'live, and nothing reserved', id::text from live where reserved = 0
union all
select 'a state without one row of history', a.id::text from attempts a
where (select count(*) from moves h where h.attempt_id = a.id and h.state = a.state) <> 1
union all
select 'a state entered twice', attempt_id::text from moves group by attempt_id, state having count(*) > 1
union all
select 'a move that is not allowed: ' || coalesce(before, 'nothing') || ' to ' || state, attempt_id::text from moves
where (coalesce(before, ''), state) not in (
  ('', 'dialing'), ('dialing', 'placed'), ('dialing', 'reported'), ('dialing', 'not_placed'), ('dialing', 'aborted'),
  ('dialing', 'unknown'), ('placed', 'reported'), ('placed', 'unreported'), ('unknown', 'reported'),
  ('unknown', 'placed'), ('unknown', 'not_placed'), ('unknown', 'unreported'), ('unreported', 'reported'))
union all
select 'a second call that is not marked', b.id::text
from attempts a join attempts b on b.contact_id = a.contact_id and b.number = a.number + 1
where a.state = 'unreported' and a.cause in ('server_error', 'unconfirmed', 'lost') and b.marks = '{}'
union all
select 'spend is not the ledger', p.id::text from campaigns p left join spend s on s.campaign_id = p.id
where coalesce(s.spent, 0) <> coalesce((select sum(credits) from ledger l where l.campaign_id = p.id), 0)
union all
select 'a report booked not once', r.id::text from reports r
where r.state in ('applied', 'unmatched') and r.credits is not null
  and ((select count(*) from ledger l where l.report_id = r.id and l.kind = 'report') <> 1
       or (select sum(credits) from ledger l where l.report_id = r.id) <> r.credits)
union all
select 'booked on another campaign', r.id::text from reports r join attempts a on a.id = r.attempt_id
where r.credits <> (select sum(credits) from ledger l where l.report_id = r.id and l.campaign_id = a.campaign_id)
union all
select 'an attempt without its report', id::text from attempts a where state = 'reported'
  and not exists (select 1 from reports r where r.id = a.report_id and r.attempt_id = a.id and r.state = 'applied')
union all
select 'finished, and not closed', c.id::text from contacts c join campaigns p on p.id = c.campaign_id
where p.state = 'finished' and c.state <> 'closed' and c.asked_at <> 'infinity'
"""

STANDING = """
select 'attempt ' || id || ' ' || state || ' ' || cause || ' ' || array_to_string(marks, ',') || ' ' || began_at
       || ' ' || coalesce(resolve_at::text, '-') || ' ' || coalesce(disposition, '-')
       || ' ' || coalesce(credits::text, '-')
from attempts
union all
select 'contact ' || id || ' ' || state || ' ' || due_at || ' ' || reason || ' ' || tries || ' ' || attempts
from contacts
union all
select 'report ' || id || ' ' || state || ' ' || rule || ' ' || coalesce(attempt_id::text, '-') from reports
order by 1
"""
"""Everything that a run comes to, as lines: what two runs of one seed must agree on."""


async def faults(conn: asyncpg.Connection) -> list[str]:
    return [f"{row['fault']}: {row['detail']}" for row in await conn.fetch(HOLDS)]


async def standing(conn: asyncpg.Connection) -> list[str]:
    return [row[0] for row in await conn.fetch(STANDING)]
