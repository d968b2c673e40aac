-- The sums of a campaign are kept by the ledger itself: no entry can be written that is not summed.

create function sum_credits() returns trigger language plpgsql as $$
begin
  -- In one order of campaigns, for two of these may run at once.
  insert into spend (campaign_id, spent)
  select campaign_id, sum(credits) from booked where campaign_id is not null group by 1 order by 1
  on conflict (campaign_id) do update set spent = spend.spent + excluded.spent;

  -- By quarters of an hour, for budgets of a day: offsets of zones are whole quarters.
  insert into spend_quarters (campaign_id, agent, at, spent)
  select b.campaign_id, coalesce(a.agent, (select p.agent from campaigns p where p.id = b.campaign_id)),
         date_bin('15 minutes', b.booked_at, timestamptz 'epoch'), sum(b.credits)
  from booked b left join attempts a on a.id = b.attempt_id
  where b.campaign_id is not null group by 1, 2, 3 order by 1, 2, 3
  on conflict (campaign_id, agent, at) do update set spent = spend_quarters.spent + excluded.spent;
  return null;
end $$;

create trigger ledger_sums after insert on ledger
  referencing new table as booked for each statement execute function sum_credits();
