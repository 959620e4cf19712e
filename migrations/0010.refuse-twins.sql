-- User names that are the same as a stored one are refused; those that are stored keep working.
-- depends: 0009.fold-usernames

-- Reads go on, writes to users wait: about five seconds for a million accounts.
lock table users in share row exclusive mode;

update users set twin = true
where folded_name(username) in (select folded_name(username) from users group by 1 having count(*) > 1);

do $$
declare
    twins bigint := (select count(*) from users where twin);
begin
    if twins > 0 then
        raise warning '% in users.username that are the same as another after NFKC and case folding: kept as they are, '
            'and new ones are refused from now on; to see them: '
            'select id, username, email from users where twin order by folded_name(username)', twins;
    end if;
end
$$;

create unique index users_username_folded_key on users (folded_name(username)) where not twin;

-- Twins are few and no new ones come: what equals one of them is looked for here.
create index users_twins_idx on users (folded_name(username)) where twin;

create function refuse_name_of_twin() returns trigger
language plpgsql
as $$
begin
    if exists (
        select from users where twin and id <> new.id and folded_name(username) = folded_name(new.username)
    ) then
        raise unique_violation using
            message = format('the user name is the same as a stored one: %L', new.username),
            schema = tg_table_schema, table = tg_table_name, constraint = 'users_username_folded_key';
    end if;
    new.twin := false;
    return new;
end
$$;

-- An account that says its own name again stays what it is; one that takes another name is no twin any more.
create trigger users_twin_update before update of username on users for each row
when (new.username is distinct from old.username) execute function refuse_name_of_twin();

create function refuse_names_of_twins() returns trigger
language plpgsql
as $$
begin
    -- Almost every database has none.
    if not exists (select from users where twin) then
        return null;
    end if;
    if exists (
        select from added join users on folded_name(users.username) = folded_name(added.username)
        where users.twin and users.id <> added.id
    ) then
        raise unique_violation using
            message = 'the user name is the same as a stored one',
            schema = tg_table_schema, table = tg_table_name, constraint = 'users_username_folded_key';
    end if;
    return null;
end
$$;

-- Once for each statement: a trigger before each row would make COPY insert row by row.
create trigger users_twin_insert after insert on users
referencing new table as added for each statement execute function refuse_names_of_twins();
