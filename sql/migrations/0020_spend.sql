-- The sums of a campaign are kept by the ledger itself: an entry is summed as it is written.

-- Whose call it was. Null: the entry of a daemon that is older than this, and sums by itself; while daemons are restarted
-- one after another, both write here.
alter table ledger add column agent text;

create function sum_credits() returns trigger language plpgsql as $$
begin
  -- In one order of campaigns, for two of these may run at once.
  insert into spend (campaign_id, spent)
  select campaign_id, sum(credits) from booked where campaign_id is not null and agent is not null group by 1 order by 1
  on conflict (campaign_id) do update set spent = spend.spent + excluded.spent;

  -- By quarters of an hour, for budgets of a day: offsets of zones are whole quarters.
  insert into spend_quarters (campaign_id, agent, at, spent)
  select campaign_id, agent, date_bin('15 minutes', booked_at, timestamptz 'epoch'), sum(credits)
  from booked where campaign_id is not null and agent is not null group by 1, 2, 3 order by 1, 2, 3
  on conflict (campaign_id, agent, at) do update set spent = spend_quarters.spent + excluded.spent;
  return null;
end $$;

create trigger ledger_sums after insert on ledger
  referencing new table as booked for each statement execute function sum_credits();
