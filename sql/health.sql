-- name: list_applied_migrations
-- What yoyo has applied to this database; its table is not there before the first migration.
select migration_id from _yoyo_migration order by migration_id;
