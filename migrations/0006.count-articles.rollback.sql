drop trigger articles_count_truncate on articles;
drop trigger articles_count_delete on articles;
drop trigger articles_count_insert on articles;
drop function count_no_articles();
drop function count_articles();
drop table article_counts;
