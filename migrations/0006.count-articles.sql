-- How many articles there are, without counting them.
-- depends: 0005.create-comments

-- Every list of articles says how many there are in all. At 100,000 articles `count(*)` takes fifteen times as long as the
-- page itself, so the number is kept, exactly: triggers change it in the transaction that changes the articles. One row
-- would be a queue for everyone who publishes; each server process has one of 32, and no transaction ever needs a second.
create table article_counts (
    slot smallint not null,
    articles bigint not null,
    constraint article_counts_pkey primary key (slot),
    constraint article_counts_slot_check check (slot between 0 and 31)
) with (fillfactor = 50);

insert into article_counts (slot, articles)
select slot, case slot when 0 then (select count(*) from articles) else 0 end
from generate_series(0, 31) as slot;

create function count_articles() returns trigger
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

create trigger articles_count_insert after insert on articles
referencing new table as changed for each statement execute function count_articles();

create trigger articles_count_delete after delete on articles
referencing old table as changed for each statement execute function count_articles();

create function count_no_articles() returns trigger
language plpgsql
as $$
begin
    update article_counts set articles = 0;
    return null;
end
$$;

create trigger articles_count_truncate after truncate on articles
for each statement execute function count_no_articles();
