drop table article_tags;
drop table articles;
