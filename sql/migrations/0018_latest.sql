-- What looks at the latest rows costs the same however much lies behind them.

-- What persons corrected: few rows among very many, asked for at each audit.
create index ledger_corrections on ledger (campaign_id) where kind = 'correction';

-- When each agent was heard last: of the latest reports to be stored, for those of a spool may come in another order.
create view agents_heard as
select g.name, (select max(l.received_at) from (select r.received_at from reports r where r.agent = g.name
                                                order by r.id desc limit 100) l) as at
from agents g;

-- No id that was made at an instant or later is less (UUID version 7 begins with its milliseconds).
create function first_id(at timestamptz) returns uuid language sql immutable strict parallel safe
return rpad(lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0'), 32, '0')::uuid;
