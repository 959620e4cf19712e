-- All tokens of an account can be ended.
-- depends: 0013.run-triggers-as-owner

-- Each token names the generation in which it was issued, and is good while that is the account's: ending all tokens adds
-- one. A number, and no moment before which tokens are void: tokens tell their time in seconds, so that one issued in the
-- second in which the others ended would be void, or one of them good. No list of ended tokens either, which would have to
-- be read, kept and forgotten. Read where the account is looked at anyway, it costs no statement, and all processes agree.
-- A constant default is no rewrite: the table is locked for a moment only.
alter table users add column token_generation integer not null default 0;

-- As before 0015, and the token must be of the account's generation. The functions without it stay: while a new release is
-- rolled out, processes of the one before call them. A stranger has neither id nor generation and calls nothing.
create function viewer_exists(viewer_id bigint, generation integer) returns boolean
language plpgsql stable parallel safe
as $$
begin
    if not exists (select from users where id = viewer_id and token_generation = generation) then
        raise foreign_key_violation using
            message = format('there is no user %s, or their tokens of generation %s were ended', viewer_id, generation),
            constraint = 'known_viewer';
    end if;
    return true;
end
$$;

-- With its owner's rights, as 0013 says: nobody else has to know what it reads.
do $$
begin
    execute format(
        'alter function viewer_exists(bigint, integer) security definer set search_path = %I, pg_temp', current_schema()
    );
end
$$;

create function known_viewer(viewer_id bigint, generation integer) returns boolean
language sql stable parallel safe
return viewer_id is null or viewer_exists(viewer_id, generation);
