-- People with an account.
-- depends:

-- Keys are identities, always generated: a key that the client chose could collide with one the sequence hands out later.
-- Text has no length in its type, since changing a check rewrites no table; the checks keep every indexed value far below
-- the 2,704 bytes that fit into a B-tree entry, so that no input can make an insert fail with an internal error.
create table users (
    id bigint generated always as identity,
    username text not null,
    email text not null,
    password_hash text not null,
    bio text,
    image text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_pkey primary key (id),
    constraint users_username_key unique (username),
    constraint users_username_check check (char_length(username) between 1 and 100),
    constraint users_email_check check (char_length(email) between 3 and 254)
);

-- An e-mail address is one mailbox however it is capitalised; what its owner typed is what they see.
create unique index users_email_key on users (lower(email));

-- A token outlives its user. Every statement on behalf of a viewer asks this function first, in the same round trip: it is
-- true for a stranger (null) and for a user who exists, and fails like a foreign key for one who is gone. It depends on no
-- column of the statement, so the planner evaluates it once, before any table is read.
create function known_viewer(viewer_id bigint) returns boolean
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
