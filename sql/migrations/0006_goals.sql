-- What an attempt came to, as its campaign's goal sees it, told once with its report; and the sum, kept by the same
-- transaction, which the gate reads.
alter table attempts add column success boolean not null default false;
alter table attempts add constraint success_is_reported check (not success or state = 'reported');
alter table spend add column successes integer not null default 0 check (successes >= 0);
