-- What the gate must know of a number, in one place: the gate asks it of the contacts it has locked, `contacts why` and
-- the forecast ask it of whomever they like. Plain SQL, so that the planner sees through it.
--
-- suppressed: why it must not be rung. hashed: there are bars by digest, which only the program can read. recent: when
-- it was rung, latest first. busy: it has a live attempt. disputed: a report that lies unmatched may be that of an
-- attempt at the number whose wait is over.
create function number_facts(
  of_phone text, of_campaign uuid, at timestamptz, since timestamptz, calls integer, lately timestamptz,
  earliest interval, latest interval
) returns table (suppressed text, hashed boolean, recent timestamptz[], busy boolean, disputed boolean)
language sql stable as $$
  select (select s.reason from suppressions s
          where s.phone = of_phone and (s.campaign_id is null or s.campaign_id = of_campaign)
            and (s.expires_at is null or s.expires_at > at)
          order by s.campaign_id nulls first limit 1),
         exists (select 1 from suppressions where digest is not null),
         array(select a.began_at from attempts a
               where a.phone = of_phone and a.began_at > since and a.state not in ('not_placed', 'aborted')
               order by a.began_at desc limit calls),
         exists (select 1 from attempts a
                 where a.phone = of_phone and a.state in ('dialing', 'placed', 'unknown')),
         exists (select 1 from reports r
                 join attempts a on a.phone = r.phone and a.agent = r.agent and a.state = 'unreported'
                 where r.phone = of_phone and r.state = 'unmatched' and r.received_at > lately
                   and (r.started_at is null or r.started_at between a.began_at - earliest and a.began_at + latest))
$$;
