-- Which database this is, so that a restored backup is told from the one that went on.

-- One row, made at the first start. Each daemon's journal remembers how far the history of this id had come: a database
-- that knows less was restored. Another system_id: it was restored into another server.
create table origin (
  sole            boolean primary key default true check (sole),
  id              uuid not null,
  system_id       text not null,
  noted_at        timestamptz not null
);
