-- User names and e-mail addresses that are the same as a stored one are refused; those that are stored keep working.
-- depends: 0009.fold-names

-- Reads go on, writes to users wait: about ten seconds for a million accounts.
lock table users in share row exclusive mode;

update users set username_twin = true
where folded(username) in (select folded(username) from users group by 1 having count(*) > 1);

update users set email_twin = true
where folded(email) in (select folded(email) from users group by 1 having count(*) > 1);

do $$
declare
    found record;
begin
    for found in
        select 'username' as column_name, count(*) as twins from users where username_twin
        union all
        select 'email', count(*) from users where email_twin
    loop
        if found.twins > 0 then
            raise warning '% in users.% that are the same as another after NFKC and case folding: kept as they are, and '
                'new ones are refused from now on; to see them: '
                'select id, username, email from users where %_twin order by folded(%), id',
                found.twins, found.column_name, found.column_name, found.column_name;
        end if;
    end loop;
end
$$;

create unique index users_username_folded_key on users (folded(username)) where not username_twin;
create unique index users_email_folded_key on users (folded(email)) where not email_twin;

-- Twins are few and no new ones come: what equals one of them is looked for here.
create index users_username_twins_idx on users (folded(username)) where username_twin;
create index users_email_twins_idx on users (folded(email)) where email_twin;

create function raise_taken(key text) returns void
language plpgsql
as $$
begin
    raise unique_violation using
        message = 'the value is the same as a stored one after NFKC and case folding', table = 'users', constraint = key;
end
$$;

create function refuse_changed_twins() returns trigger
language plpgsql
as $$
begin
    if new.username is distinct from old.username then
        if exists (
            select from users where username_twin and id <> new.id and folded(username) = folded(new.username)
        ) then
            perform raise_taken('users_username_folded_key');
        end if;
        new.username_twin := false;
    end if;
    if new.email is distinct from old.email then
        if exists (select from users where email_twin and id <> new.id and folded(email) = folded(new.email)) then
            perform raise_taken('users_email_folded_key');
        end if;
        new.email_twin := false;
    end if;
    return new;
end
$$;

-- An account that says its own name again stays what it is; one that takes another name is no twin any more.
create trigger users_changed_twins before update of username, email on users for each row
when (new.username is distinct from old.username or new.email is distinct from old.email)
execute function refuse_changed_twins();

create function refuse_added_twins() returns trigger
language plpgsql
as $$
begin
    -- Almost every database has none.
    if exists (select from users where username_twin) then
        if exists (
            select from added join users on folded(users.username) = folded(added.username)
            where users.username_twin and users.id <> added.id
        ) then
            perform raise_taken('users_username_folded_key');
        end if;
    end if;
    if exists (select from users where email_twin) then
        if exists (
            select from added join users on folded(users.email) = folded(added.email)
            where users.email_twin and users.id <> added.id
        ) then
            perform raise_taken('users_email_folded_key');
        end if;
    end if;
    return null;
end
$$;

-- Once for each statement: a trigger before each row would make COPY insert row by row.
create trigger users_added_twins after insert on users
referencing new table as added for each statement execute function refuse_added_twins();
