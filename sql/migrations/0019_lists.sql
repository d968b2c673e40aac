-- What a long list costs, of contacts and of notices: as few indexes and keys as keep every promise, and one more.

-- A contact's campaign is there, for the contact is counted with it: the row of the count refers to it. The same said of
-- each contact by a key of its own was a quarter of what an import asks of Postgres.
alter table contact_changes add foreign key (campaign_id) references campaigns (id);
alter table contact_tallies add foreign key (campaign_id) references campaigns (id);
alter table contacts drop constraint contacts_campaign_id_fkey;

-- The open contacts of a number, and which campaign has it: one index, by number, for both.
drop index contacts_open_phone;
create unique index contacts_open_phone on contacts (phone, campaign_id) where state <> 'closed';
drop index contacts_waiting_phone;

-- Notices that are on their way, or that nobody took, among very many that were sent.
create index outbox_unsent on outbox (created_at, id) where state <> 'sent';
