-- What was spent by quarters of an hour, kept by the transaction that books: a day of any zone is a sum of quarters.
-- And what a campaign's calls cost, from its own history, and why it is held.
create table spend_quarters (
  campaign_id uuid not null,
  agent       text not null,
  at          timestamptz not null,
  spent       numeric(18, 6) not null,
  primary key (campaign_id, agent, at)
) with (fillfactor = 80);
create index spend_quarters_of_agent on spend_quarters (agent, at);

insert into spend_quarters (campaign_id, agent, at, spent)
select l.campaign_id, r.agent, date_bin('15 minutes', l.booked_at, 'epoch'), sum(l.credits)
from ledger l join reports r on r.id = l.report_id
where l.campaign_id is not null
group by 1, 2, 3;

alter table spend add column price numeric(18, 6) check (price >= 0);

-- Credits set aside at the gate: reserved goes to nothing when the attempt ends, this stays for the audit.
alter table attempts add column set_aside numeric(18, 6) default 0;
update attempts a set set_aside = (v.definition #>> '{budget,estimate}')::numeric
from campaign_versions v where v.campaign_id = a.campaign_id and v.version = a.campaign_version;
alter table attempts alter column set_aside set not null;

alter table campaigns
  add column held text not null default '',
  add column held_until timestamptz,
  add column warned_at timestamptz,
  add constraint held_until_is_of_a_hold check (held <> '' or held_until is null);

insert into buckets (key, next_at) values ('overall', '-infinity') on conflict do nothing;
