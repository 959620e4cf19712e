-- What an export has.

-- name: stream_articles
-- Every article in the order of publication, for an export; nothing in it depends on who asks.
-- check: full scan of articles, because an export has all of them
-- check: not null tag_list[], because a constraint keeps nulls out of tags
-- check: not null created_at, because a column that is never null is written as text
-- check: not null updated_at, because a column that is never null is written as text
select
    articles.slug,
    articles.title,
    articles.description,
    articles.body,
    articles.tags as tag_list,
    iso8601(articles.created_at) as created_at,
    iso8601(articles.updated_at) as updated_at,
    authors.username as author
from articles
join users as authors on authors.id = articles.author_id
where known_viewer(:viewer_id, :generation)
order by articles.id;
