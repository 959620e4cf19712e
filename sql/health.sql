-- name: list_applied_migrations
-- What yoyo has applied to this database; its table is not there before the first migration.
-- check: not null migration_id, because yoyo writes the id of every migration that it applies
-- check: full scan of _yoyo_migration, because it has a row for each migration
select migration_id from _yoyo_migration order by migration_id;

-- name: delete_nothing
-- A server that is read only refuses this before it looks at any row, and one that is not has nothing to do. It is the
-- refusal of a write that replaces a session which stayed read only after a switchover.
delete from commit_tokens where false;
