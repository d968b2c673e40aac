-- What persons corrected: few rows among very many, asked for at each audit.
create index ledger_corrections on ledger (campaign_id) where kind = 'correction';
