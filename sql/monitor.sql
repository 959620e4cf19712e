-- What PostgreSQL says of itself. Every role may run these: what it may not see is null.

-- fragment: sessions
-- The other clients of this database. The sessions of other roles have no type to an ordinary role; background workers
-- have no user.
select * from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and usesysid is not null
    and coalesce(backend_type, 'client backend') = 'client backend'

-- fragment: locked_relations
-- Relations whose size would be asked behind an exclusive lock: their own, or that of an index.
select locks.relation from pg_locks as locks
where locks.mode = 'AccessExclusiveLock' and locks.relation is not null
union all
select indexes.indrelid from pg_locks as locks join pg_index as indexes on indexes.indexrelid = locks.relation
where locks.mode = 'AccessExclusiveLock'

-- name: get_backend
-- The session that runs this, and its server.
-- check: not null server_started, because the server runs
select
    pg_backend_pid() as pid,
    host(inet_server_addr()) as server_address,
    pg_postmaster_start_time() as server_started;

-- name: get_database_figures
-- Counters begin at the last reset of the statistics.
-- check: one row, because names of databases are unique
-- check: not null max_connections, because the server always has this setting
-- check: not null server_started, because the server runs
-- check: not null in_recovery, because the function has no null
-- check: not null version_number, because the server always has this setting
with sessions as (
    -- include: sessions
)
select
    case when has_database_privilege(current_database(), 'connect') then pg_database_size(current_database()) end
        as size_bytes,
    coalesce(figures.xact_commit, 0) as commits,
    coalesce(figures.xact_rollback, 0) as rollbacks,
    coalesce(figures.blks_hit, 0) as blocks_hit,
    coalesce(figures.blks_read, 0) as blocks_read,
    coalesce(figures.deadlocks, 0) as deadlocks,
    coalesce(figures.temp_bytes, 0) as temp_bytes,
    coalesce(figures.conflicts, 0) as conflicts,
    coalesce(figures.sessions, 0) as sessions,
    coalesce(figures.numbackends, 0) as connections,
    (select count(*) from pg_stat_activity where usesysid is not null) as server_connections,
    current_setting('max_connections')::integer as max_connections,
    (select extract(epoch from clock_timestamp() - min(xact_start))::double precision from sessions)
        as oldest_transaction_seconds,
    (
        select extract(epoch from clock_timestamp() - min(xact_start))::double precision
        from sessions where state in ('idle in transaction', 'idle in transaction (aborted)')
    ) as oldest_idle_transaction_seconds,
    (select count(*) from pg_locks where not granted and pid in (select pid from sessions)) as waiting_locks,
    pg_postmaster_start_time() as server_started,
    pg_is_in_recovery() as in_recovery,
    case
        when not pg_is_in_recovery() then null
        -- Nothing is left to replay: an idle primary is no lag.
        when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
        else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::double precision
    end as replay_lag_seconds,
    current_setting('server_version_num')::integer as version_number
from pg_stat_database as figures
where figures.datname = current_database();

-- name: list_session_states
-- Each state of a session, and the number of sessions in it.
select coalesce(sessions.state, 'unknown') as state, count(*) as sessions
from (
    -- include: sessions
) as sessions
group by 1
order by 1;

-- name: list_sessions
-- The newest activity first. Only a session that waits for a lock is asked for its blockers: the answer stops all locking
-- for a moment.
-- check: not null blocked_by, because the function has no null for a pid
-- check: not null blocked_by[], because the function returns no null pids
select
    sessions.pid,
    sessions.usename as user_name,
    nullif(sessions.application_name, '') as application_name,
    host(sessions.client_addr) as client_address,
    sessions.state,
    sessions.wait_event_type,
    sessions.wait_event,
    extract(epoch from clock_timestamp() - sessions.state_change)::double precision as state_seconds,
    extract(epoch from clock_timestamp() - sessions.xact_start)::double precision as transaction_seconds,
    extract(epoch from clock_timestamp() - sessions.query_start)::double precision as query_seconds,
    extract(epoch from clock_timestamp() - sessions.backend_start)::double precision as connected_seconds,
    nullif(nullif(sessions.query, '<insufficient privilege>'), '') as query,
    case
        when sessions.pid = any (array(select waiting.pid from pg_locks as waiting where not waiting.granted))
            then pg_blocking_pids(sessions.pid)
        else '{}'
    end as blocked_by
from (
    -- include: sessions
) as sessions
order by sessions.state_change desc nulls last, sessions.pid
limit 200;

-- name: list_locks_by_mode
-- The locks of this database and of its sessions, without those of the session that asks.
-- check: not null mode, because every lock has one
-- check: not null granted, because every lock has one
with sessions as (
    -- include: sessions
)
select locks.mode, locks.granted, count(*) as locks
from pg_locks as locks
where locks.pid is distinct from pg_backend_pid()
    and (
        locks.database = (select oid from pg_database where datname = current_database())
        or locks.pid in (select pid from sessions)
    )
group by locks.mode, locks.granted
order by locks.mode, locks.granted;

-- name: list_replicas
-- A standby has replicas, too; it sends them what it received.
select
    nullif(replicas.application_name, '') as application_name,
    replicas.state,
    replicas.sync_state,
    extract(epoch from replicas.replay_lag)::double precision as replay_lag_seconds,
    pg_wal_lsn_diff(
        case
            when pg_is_in_recovery() then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            else pg_current_wal_lsn()
        end,
        replicas.replay_lsn
    )::bigint as lag_bytes
from pg_stat_replication as replicas
order by replicas.application_name, replicas.pid;

-- name: list_tables
-- The largest first. A table that is locked exclusively has no size here: monitoring would wait behind a migration.
with locked as materialized (
    -- include: locked_relations
), sized as materialized (
    select
        tables.*,
        case when tables.relid not in (select locked.relation from locked) then pg_table_size(tables.relid) end
            as table_size,
        case when tables.relid not in (select locked.relation from locked) then pg_indexes_size(tables.relid) end
            as index_size
    from pg_stat_user_tables as tables
), largest as (
    select * from sized order by table_size + index_size desc nulls first, relid limit 100
)
select
    largest.schemaname as schema,
    largest.relname as name,
    coalesce(nullif(largest.n_live_tup, 0), greatest(classes.reltuples, 0)::bigint) as estimated_rows,
    coalesce(largest.n_dead_tup, 0) as dead_rows,
    largest.table_size as table_bytes,
    largest.index_size as index_bytes,
    largest.table_size + largest.index_size as total_bytes,
    coalesce(largest.seq_scan, 0) as sequential_scans,
    coalesce(largest.idx_scan, 0) as index_scans,
    extract(epoch from clock_timestamp() - greatest(largest.last_vacuum, largest.last_autovacuum))::double precision
        as vacuumed_seconds,
    extract(epoch from clock_timestamp() - greatest(largest.last_analyze, largest.last_autoanalyze))::double precision
        as analyzed_seconds
from largest left join pg_class as classes on classes.oid = largest.relid
order by total_bytes desc nulls first, schema, name;

-- name: list_indexes
-- The largest first, sizes as above.
-- check: full scan of pg_constraint, because it has no index on conindid
with locked as materialized (
    -- include: locked_relations
), sized as materialized (
    select
        indexes.*,
        case when indexes.indexrelid not in (select locked.relation from locked) then pg_relation_size(indexes.indexrelid) end
            as bytes
    from pg_stat_user_indexes as indexes
), largest as (
    select * from sized order by bytes desc nulls first, indexrelid limit 200
)
select
    largest.schemaname as schema,
    largest.relname as "table",
    largest.indexrelname as name,
    largest.bytes,
    coalesce(largest.idx_scan, 0) as scans,
    kinds.indisunique as is_unique,
    kinds.indisprimary as is_primary,
    kinds.indisvalid as is_valid,
    coalesce(largest.idx_scan, 0) = 0
        and not kinds.indisunique
        and not kinds.indisprimary
        and not exists (select from pg_constraint where conindid = largest.indexrelid) as unused
from largest join pg_index as kinds on kinds.indexrelid = largest.indexrelid
order by largest.bytes desc nulls first, schema, "table", name;
