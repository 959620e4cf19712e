-- Comments on articles.

-- fragment: comment_columns
-- A comment as the viewer sees it.
-- check: not null created_at, because a column that is never null is written as text
-- check: not null updated_at, because a column that is never null is written as text
comments.id,
iso8601(comments.created_at) as created_at,
iso8601(comments.updated_at) as updated_at,
comments.body,
-- include: profiles.author_columns

-- name: create_comment
-- A comment by the viewer; the new row stands in for the table, so that it reads like every other comment.
with comments as (
    insert into comments (article_id, author_id, body)
    values (:article_id, :viewer_id, :body)
    returning id, created_at, updated_at, body, author_id
)
select
    -- include: comment_columns
from comments
join users as authors on authors.id = comments.author_id;

-- name: list_comments
-- The article's comments, newest first; none for an article that does not exist.
select
    -- include: comment_columns
from articles
join comments on comments.article_id = articles.id
join users as authors on authors.id = comments.author_id
where known_viewer(:viewer_id, :generation) and articles.slug = :slug
order by comments.id desc;

-- name: get_comment_key
-- Whose comment it is: no row where the article does not exist, nulls where it has no such comment.
select comments.id, comments.author_id
from articles
left join comments on comments.article_id = articles.id and comments.id = :comment_id
where known_viewer(:viewer_id, :generation) and articles.slug = :slug;

-- name: delete_comment
delete from comments where id = :comment_id;

-- name: copy_comments
-- Many comments at once.
copy comments (article_id, author_id, body) from stdin;
