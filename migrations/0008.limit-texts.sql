-- Limits of the texts that had none, and tags without spaces around them.
-- depends: 0006.count-articles

do $$
begin
    if getdatabaseencoding() <> 'UTF8' then
        raise exception 'the encoding of this database is %, which has not the characters of every script',
            getdatabaseencoding()
            using hint = 'copy it into one that is created with: create database NAME encoding ''UTF8'' template template0';
    end if;
end
$$;

-- In characters, the same that the API refuses: a list shows twenty authors with bio and image, so one of a megabyte makes
-- every page of it twenty. What was stored before stays as it is, and readable: this view finds it, now and later.
-- `octet_length` reads no text that is stored apart, and what has few bytes has few characters.
create view values_over_limit as
select 'users' as table_name, id, 'bio' as column_name, char_length(bio) as characters, 2000 as "limit"
from users where octet_length(bio) > 2000 and char_length(bio) > 2000
union all
select 'users', id, 'image', char_length(image), 2000
from users where octet_length(image) > 2000 and char_length(image) > 2000
union all
select 'articles', id, 'description', char_length(description), 1000
from articles where octet_length(description) > 1000 and char_length(description) > 1000
union all
select 'articles', id, 'body', char_length(body), 100000
from articles where octet_length(body) > 100000 and char_length(body) > 100000
union all
select 'comments', id, 'body', char_length(body), 10000
from comments where octet_length(body) > 10000 and char_length(body) > 10000;

-- User names that no path leads to, since "/" ends a segment of it and "." and ".." are never sent.
create view unreachable_usernames as
select id, username from users where username like '%/%' or username in ('.', '..');

-- Tags are trimmed when they are written and when articles are filtered by one, of what Python's `str.strip()` takes for
-- spaces. One that becomes the same as another of its article goes; one that is nothing else stays.
with spaces as (
    select E'\t\n\x0b\f\r \x1c\x1d\x1e\x1f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009'
        '\u200a\u2028\u2029\u202f\u205f\u3000' as characters
), untrimmed as (
    delete from article_tags using spaces
    where tag <> btrim(tag, characters) and btrim(tag, characters) <> ''
    returning article_id, btrim(tag, characters) as tag
)
insert into article_tags (article_id, tag) select article_id, tag from untrimmed on conflict do nothing;

-- Before the triggers, which keep writers out until this transaction ends.
do $$
declare
    found record;
begin
    for found in
        select table_name, column_name, "limit", count(*) as values, max(characters) as longest
        from values_over_limit group by 1, 2, 3 order by 1, 2
    loop
        raise warning '% in %.% longer than % characters, the longest has %: kept as they are, and refused from now on; '
            'to see them: select * from values_over_limit',
            found.values, found.table_name, found.column_name, found."limit", found.longest;
    end loop;
    if exists (select from unreachable_usernames) then
        raise warning '% in users.username that no path leads to: kept as they are, and refused from now on; '
            'to see them: select * from unreachable_usernames', (select count(*) from unreachable_usernames);
    end if;
end
$$;

-- Not check constraints: one is tested with every change of a row, so that an account with a long bio could not even change
-- its password, and `not valid` spares only the rows that nobody changes. These triggers look at a value when it comes. They
-- run after the row, since one before it would make COPY insert row by row, and cost next to nothing while WHEN is false.
create function refuse_value() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' or (to_jsonb(new) -> tg_argv[0]) <> (to_jsonb(old) -> tg_argv[0]) then
        raise check_violation using
            message = format('%I.%I %s', tg_table_name, tg_argv[0], tg_argv[1]),
            schema = tg_table_schema, table = tg_table_name, column = tg_argv[0], constraint = tg_name;
    end if;
    return null;
end
$$;

create trigger users_username_path after insert or update of username on users for each row
when (new.username like '%/%' or new.username in ('.', '..'))
execute function refuse_value('username', 'must not contain "/", nor be "." or ".."');

create trigger users_bio_limit after insert or update of bio on users for each row
when (octet_length(new.bio) > 2000 and char_length(new.bio) > 2000)
execute function refuse_value('bio', 'is longer than 2000 characters');

create trigger users_image_limit after insert or update of image on users for each row
when (octet_length(new.image) > 2000 and char_length(new.image) > 2000)
execute function refuse_value('image', 'is longer than 2000 characters');

create trigger articles_description_limit after insert or update of description on articles for each row
when (octet_length(new.description) > 1000 and char_length(new.description) > 1000)
execute function refuse_value('description', 'is longer than 1000 characters');

create trigger articles_body_limit after insert or update of body on articles for each row
when (octet_length(new.body) > 100000 and char_length(new.body) > 100000)
execute function refuse_value('body', 'is longer than 100000 characters');

create trigger comments_body_limit after insert or update of body on comments for each row
when (octet_length(new.body) > 10000 and char_length(new.body) > 10000)
execute function refuse_value('body', 'is longer than 10000 characters');
