-- name: list_applied_migrations
-- What yoyo has applied to this database; its table is not there before the first migration.
-- check: not null migration_id, because yoyo writes the id of every migration that it applies
-- check: full scan of _yoyo_migration, because it has a row for each migration
select migration_id from _yoyo_migration order by migration_id;
