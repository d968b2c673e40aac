-- Tallies: how many contacts and calls are of each kind, so that a page need not count millions. Triggers keep them, in
-- the transaction that changes what is counted, whoever changes it; the statement's rows are summed first, and the sums
-- are appended: no two transactions wait for one another over a counter. A sweep folds what was appended.

create table contact_tallies (
  campaign_id   uuid not null,
  state         text not null,
  disposition   text,
  reason        text not null,
  called        boolean not null,
  contacts      bigint not null
);
create unique index contact_tallies_once on contact_tallies (campaign_id, state, disposition, reason, called)
  nulls not distinct;

create table call_tallies (
  campaign_id   uuid not null,
  -- UTC, of its beginning
  day           date not null,
  -- of the day where the person is
  hour          smallint not null,
  number        integer not null,
  state         text not null,
  disposition   text,
  calls         bigint not null,
  successes     bigint not null,
  -- unreported calls whose credits nobody knows
  uncosted      bigint not null,
  credits       numeric(18, 6) not null
);
create unique index call_tallies_once on call_tallies (campaign_id, day, hour, number, state, disposition)
  nulls not distinct;

-- What was appended and is not folded yet; the same columns.
create table contact_changes (
  campaign_id   uuid not null,
  state         text not null,
  disposition   text,
  reason        text not null,
  called        boolean not null,
  contacts      bigint not null
);
create index contact_changes_by_campaign on contact_changes (campaign_id);

create table call_changes (
  campaign_id   uuid not null,
  day           date not null,
  hour          smallint not null,
  number        integer not null,
  state         text not null,
  disposition   text,
  calls         bigint not null,
  successes     bigint not null,
  uncosted      bigint not null,
  credits       numeric(18, 6) not null
);
create index call_changes_by_campaign on call_changes (campaign_id);

-- The hour of the day where the person is, as a call begins.
alter table attempts add column hour smallint not null default 0 check (hour between 0 and 23);
update attempts a
set hour = extract(hour from a.began_at at time zone coalesce(c.zones[1], 'UTC'))
from contacts c where c.id = a.contact_id;

create function tally_contacts() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into contact_changes
    select campaign_id, state, disposition, reason, attempts > 0, count(*) from fresh group by 1, 2, 3, 4, 5;
  elsif tg_op = 'DELETE' then
    insert into contact_changes
    select campaign_id, state, disposition, reason, attempts > 0, -count(*) from stale group by 1, 2, 3, 4, 5;
  elsif tg_op = 'TRUNCATE' then
    delete from contact_tallies;
    delete from contact_changes;
  else
    insert into contact_changes
    select campaign_id, state, disposition, reason, called, sum(n)
    from (
      select o.campaign_id, o.state, o.disposition, o.reason, o.attempts > 0 as called, -1 as n from stale o
      union all
      select f.campaign_id, f.state, f.disposition, f.reason, f.attempts > 0, 1 from fresh f
    ) both_
    group by 1, 2, 3, 4, 5
    having sum(n) <> 0;
  end if;
  return null;
end $$;

create trigger tally_inserted after insert on contacts referencing new table as fresh
  for each statement execute function tally_contacts();
create trigger tally_updated after update on contacts referencing old table as stale new table as fresh
  for each statement execute function tally_contacts();
create trigger tally_deleted after delete on contacts referencing old table as stale
  for each statement execute function tally_contacts();
create trigger tally_truncated after truncate on contacts
  for each statement execute function tally_contacts();

create function tally_calls() returns trigger language plpgsql as $$
begin
  -- Calls are counted when they are closed; they begin live, so a gate appends nothing.
  if tg_op = 'INSERT' then
    insert into call_changes
    select campaign_id, (began_at at time zone 'UTC')::date, hour, number, state, disposition, count(*),
           count(*) filter (where success), count(*) filter (where state = 'unreported' and credits is null),
           coalesce(sum(credits), 0)
    from fresh where closed_at is not null group by 1, 2, 3, 4, 5, 6;
  elsif tg_op = 'DELETE' then
    insert into call_changes
    select campaign_id, (began_at at time zone 'UTC')::date, hour, number, state, disposition, -count(*),
           -count(*) filter (where success), -count(*) filter (where state = 'unreported' and credits is null),
           -coalesce(sum(credits), 0)
    from stale where closed_at is not null group by 1, 2, 3, 4, 5, 6;
  elsif tg_op = 'TRUNCATE' then
    delete from call_tallies;
    delete from call_changes;
  else
    insert into call_changes
    select campaign_id, (began_at at time zone 'UTC')::date, hour, number, state, disposition, sum(n),
           coalesce(sum(n) filter (where success), 0),
           coalesce(sum(n) filter (where state = 'unreported' and credits is null), 0), sum(n * coalesce(credits, 0))
    from (
      select o.campaign_id, o.began_at, o.hour, o.number, o.state, o.disposition, o.success, o.credits, -1 as n
      from stale o where o.closed_at is not null
      union all
      select f.campaign_id, f.began_at, f.hour, f.number, f.state, f.disposition, f.success, f.credits, 1
      from fresh f where f.closed_at is not null
    ) both_
    group by 1, 2, 3, 4, 5, 6
    having sum(n) <> 0 or sum(n * coalesce(credits, 0)) <> 0 or coalesce(sum(n) filter (where success), 0) <> 0;
  end if;
  return null;
end $$;

create trigger tally_inserted after insert on attempts referencing new table as fresh
  for each statement execute function tally_calls();
create trigger tally_updated after update on attempts referencing old table as stale new table as fresh
  for each statement execute function tally_calls();
create trigger tally_deleted after delete on attempts referencing old table as stale
  for each statement execute function tally_calls();
create trigger tally_truncated after truncate on attempts
  for each statement execute function tally_calls();

insert into contact_tallies
select campaign_id, state, disposition, reason, attempts > 0, count(*) from contacts group by 1, 2, 3, 4, 5;

insert into call_tallies
select campaign_id, (began_at at time zone 'UTC')::date, hour, number, state, disposition, count(*),
       count(*) filter (where success), count(*) filter (where state = 'unreported' and credits is null),
       coalesce(sum(credits), 0)
from attempts where closed_at is not null group by 1, 2, 3, 4, 5, 6;

-- What is counted, folded or not.
create view contact_counts as
select campaign_id, state, disposition, reason, called, sum(contacts)::bigint as contacts
from (select * from contact_tallies union all select * from contact_changes) each
group by 1, 2, 3, 4, 5
having sum(contacts) <> 0;

create view call_counts as
select campaign_id, day, hour, number, state, disposition, sum(calls)::bigint as calls,
       sum(successes)::bigint as successes, sum(uncosted)::bigint as uncosted, sum(credits) as credits
from (select * from call_tallies union all select * from call_changes) each
group by 1, 2, 3, 4, 5, 6
having sum(calls) <> 0;
