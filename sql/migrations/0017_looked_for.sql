-- What few rows are looked for among very many: with these nobody reads millions that are settled.

-- Calls that a person must decide about, or know of.
create index attempts_to_review on attempts (id)
  where (state = 'unknown' and resolve_at is null)
     or (state = 'placed' and cause = 'placed_unidentified')
     or (state = 'unreported' and cause in ('unconfirmed', 'lost') and disposition = 'no_report');

-- Reports that were not applied, or with a doubt.
create index reports_to_look_at on reports (id) where state <> 'applied' or reason <> '';

-- What an agent's latest reports tell of it.
create index reports_of_agent on reports (agent, id);
