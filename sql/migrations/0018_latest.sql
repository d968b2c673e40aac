-- What looks at the latest rows costs the same however much lies behind them.

-- What persons corrected: few rows among very many, asked for at each audit.
create index ledger_corrections on ledger (campaign_id) where kind = 'correction';

-- No id that was made at an instant or later is less (UUID version 7 begins with its milliseconds).
create function first_id(at timestamptz) returns uuid language sql immutable strict parallel safe
return rpad(lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0'), 32, '0')::uuid;
