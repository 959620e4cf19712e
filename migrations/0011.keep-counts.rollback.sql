lock table articles, article_tags, favorites in share row exclusive mode;

drop trigger users_counts_delete on users;
drop function forget_counts_of_users();
drop trigger favorites_count_truncate on favorites;
drop trigger favorites_count_delete on favorites;
drop trigger favorites_count_insert on favorites;
drop function count_no_favorites();
drop function count_favorites();
drop trigger articles_count_update on articles;
drop function recount_articles();

create or replace function count_no_articles() returns trigger
language plpgsql
as $$
begin
    update article_counts set articles = 0;
    return null;
end
$$;

create or replace function count_articles() returns trigger
language plpgsql
as $$
declare
    change bigint := case tg_op when 'INSERT' then 1 else -1 end * (select count(*) from changed);
begin
    if change <> 0 then
        update article_counts set articles = articles + change where slot = pg_backend_pid() % 32;
    end if;
    return null;
end
$$;

drop function change_tags(text[], text[]);
drop function write_slot();

delete from article_counts;
insert into article_counts (slot, articles)
select slot, case slot when 0 then (select count(*) from articles) else 0 end
from generate_series(0, 31) as slot;
alter table article_counts add constraint article_counts_slot_check check (slot between 0 and 31);

create index article_tags_tag_article_id_idx on article_tags (tag, article_id);
alter table article_tags
    drop constraint article_tags_pkey,
    add constraint article_tags_pkey primary key (article_id, tag),
    add constraint article_tags_article_id_fkey foreign key (article_id) references articles (id) on delete cascade;

alter table articles drop column tags;
drop table tags, tag_counts, author_counts, favorite_counts, favorited_counts;
