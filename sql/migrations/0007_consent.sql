-- The consent of a contact, as the list said it: its kind, where and when it was given, and what proves it.
alter table contacts
  add column consent text check (consent in ('written', 'express', 'customer', 'inquiry')),
  add column consent_source text,
  add column consent_at timestamptz,
  add column consent_proof text,
  add constraint consent_has_a_kind
    check (consent is not null or (consent_source is null and consent_at is null and consent_proof is null));
