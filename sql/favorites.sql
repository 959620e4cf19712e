-- Who favors which article.

-- name: favorite
-- The article, favored now; favoring twice is favoring once. One statement stores and answers. It sees the tables as they
-- were before, so the new row stands in for the viewer's, and is added to the count if it is new.
with article as (
    select id from articles where articles.slug = :slug
), favored as (
    insert into favorites (user_id, article_id)
    select :viewer_id, article.id from article where known_viewer(:viewer_id, :generation)
    on conflict do nothing
    returning article_id
), favorites as (
    select :viewer_id::bigint as user_id, article.id as article_id from article
), favorite_counts as (
    select favorite_counts.article_id, favorite_counts.favorites
    from favorite_counts join article on article.id = favorite_counts.article_id
    union all
    select favored.article_id, 1 from favored
)
select
    articles.body,
    -- include: articles.article_columns
from articles
join users as authors on authors.id = articles.author_id
where known_viewer(:viewer_id, :generation) and articles.slug = :slug;

-- name: unfavorite
-- The article, not favored now; undoing what was not done does nothing. One statement, as above.
with article as (
    select id from articles where articles.slug = :slug
), unfavored as (
    delete from favorites using article
    where favorites.user_id = :viewer_id and favorites.article_id = article.id
    returning favorites.article_id
), favorites as (
    select :viewer_id::bigint as user_id, article.id as article_id from article where false
), favorite_counts as (
    select favorite_counts.article_id, favorite_counts.favorites
    from favorite_counts join article on article.id = favorite_counts.article_id
    union all
    select unfavored.article_id, -1 from unfavored
)
select
    articles.body,
    -- include: articles.article_columns
from articles
join users as authors on authors.id = articles.author_id
where known_viewer(:viewer_id, :generation) and articles.slug = :slug;

-- name: copy_favorites
-- Many favorites at once.
-- check: conflict favorites_pkey, because no field of a request is at fault: the error names the row
copy favorites (user_id, article_id) from stdin;
