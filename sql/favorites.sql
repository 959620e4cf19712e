-- Who favors which article.

-- name: favorite
-- The article, favored now; favoring twice is favoring once. One statement stores and answers. It sees the tables as they
-- were before, so the new row stands in for the viewer's, and is added to the count unless it was there: whether it was
-- inserted does not tell, since another request may have done it meanwhile.
with article as (
    select id from articles where articles.slug = :slug
), before as (
    select favorites.article_id
    from favorites join article on article.id = favorites.article_id
    where favorites.user_id = :viewer_id
), favored as (
    insert into favorites (user_id, article_id)
    select :viewer_id, article.id from article where known_viewer(:viewer_id, :generation)
    on conflict do nothing
), favorites as (
    select :viewer_id::bigint as user_id, article.id as article_id from article
), favorite_counts as (
    select favorite_counts.article_id, favorite_counts.favorites
    from favorite_counts join article on article.id = favorite_counts.article_id
    union all
    select article.id, 1 from article where not exists (select from before)
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
), before as (
    select favorites.article_id
    from favorites join article on article.id = favorites.article_id
    where favorites.user_id = :viewer_id
), unfavored as (
    delete from favorites using article
    where favorites.user_id = :viewer_id and favorites.article_id = article.id
), favorites as (
    select :viewer_id::bigint as user_id, article.id as article_id from article where false
), favorite_counts as (
    select favorite_counts.article_id, favorite_counts.favorites
    from favorite_counts join article on article.id = favorite_counts.article_id
    union all
    select before.article_id, -1 from before
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
