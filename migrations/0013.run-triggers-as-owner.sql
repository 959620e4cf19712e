-- What keeps the counts and the rules runs with the rights of its owner, whoever writes; a hash is not for reports.
-- depends: 0012.speed-up-reads

-- A function runs with the rights of its caller, so the role that the service connects as would need to write every table
-- that a trigger keeps: it could change a count or a tag without the article that it belongs to. As `security definer`
-- these functions are the only way to those tables, and the role needs no right on them but to read. A call takes a
-- microsecond more. The functions that look at users and refuse a value are among them, because PostgreSQL does not record
-- what a body in plpgsql reads: with their owner's rights nobody has to know it.
--
-- With the owner's rights, a name must not mean something of the caller's: the search path is fixed, to the schema that
-- this migration runs in, and what is temporary comes last.
do $$
declare
    name text;
begin
    foreach name in array array[
        'viewer_exists(bigint)', 'refuse_changed_twins()', 'refuse_added_twins()', 'count_articles()', 'recount_articles()',
        'count_no_articles()', 'count_favorites()', 'count_no_favorites()', 'forget_counts_of_users()'
    ] loop
        execute format('alter function %s security definer set search_path = %I, pg_temp', name, current_schema());
    end loop;
end
$$;

-- `python -m app roles` gives a reader of reports every column but those that say so here.
comment on column users.password_hash is 'secret: whoever reads it can try passwords without asking the service';
