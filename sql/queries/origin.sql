-- origin: which database this is. One row; it changes when a person accepts a restore.

-- name: ensure_origin(id, system_id, now)!
-- Made at the first start.
insert into origin (id, system_id, noted_at) values (:id, :system_id, :now) on conflict do nothing;

-- name: get_origin()^
-- The id of this database, the server it lived on when last noted, and how far its history has come.
select id, system_id, coalesce((select max(history.id) from history), 0) as history from origin;

-- name: renew_origin(id, system_id, now)!
-- Accepted by a person: another database from now on, on this server.
update origin set id = :id, system_id = :system_id, noted_at = :now;

-- name: system_id()$
-- The identifier that initdb gave this server.
select system_identifier::text from pg_control_system();
