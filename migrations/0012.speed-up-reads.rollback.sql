drop function iso8601(timestamptz);

create or replace function known_viewer(viewer_id bigint) returns boolean
language plpgsql stable parallel safe
as $$
begin
    if viewer_id is not null and not exists (select from users where id = viewer_id) then
        raise foreign_key_violation using
            message = format('there is no user %s', viewer_id),
            constraint = 'known_viewer';
    end if;
    return true;
end
$$;

drop function viewer_exists(bigint);
