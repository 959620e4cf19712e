-- Articles, alone and in lists.

-- fragment: article_columns
-- An article as the viewer sees it, without its body; a stranger (null) favors and follows nothing.
-- check: null :viewer_id, because a stranger favors nothing
articles.id as key,
articles.slug,
articles.title,
articles.description,
array(
    select article_tags.tag from article_tags where article_tags.article_id = articles.id order by article_tags.tag
) as tag_list,
articles.created_at,
articles.updated_at,
exists (
    select from favorites where favorites.article_id = articles.id and favorites.user_id = :viewer_id
) as favorited,
(select count(*) from favorites where favorites.article_id = articles.id) as favorites_count,
-- include: profiles.author_columns

-- fragment: articles_on_page
-- The articles that the list put on its page, newest first. As an array their number is a constant to the planner (ten),
-- whatever the limit is: every list stays a walk along one index and a handful of look-ups, planned once.
select
    -- include: article_columns
from articles
join users as authors on authors.id = articles.author_id
where known_viewer(:viewer_id) and articles.id = any (array(select page.article_id from page))
order by articles.id desc

-- name: get_article
-- The article with this slug, and its body.
select
    articles.body,
    -- include: article_columns
from articles
join users as authors on authors.id = articles.author_id
where known_viewer(:viewer_id) and articles.slug = :slug;

-- name: get_article_key
-- The article's id and its author's, for those who ask whether the viewer may touch it.
select id, author_id
from articles
where known_viewer(:viewer_id) and slug = :slug;

-- name: lock_article
-- The same, and the article stays as it is until the transaction ends: who changes its tags must see those of whoever
-- changed them just before.
select id, author_id
from articles
where known_viewer(:viewer_id) and slug = :slug
for no key update;

-- name: stream_articles
-- Every article in the order of publication, for an export; nothing in it depends on who asks.
-- check: full scan of articles, because an export has all of them
select
    articles.slug,
    articles.title,
    articles.description,
    articles.body,
    array(
        select article_tags.tag from article_tags where article_tags.article_id = articles.id order by article_tags.tag
    ) as tag_list,
    articles.created_at,
    articles.updated_at,
    authors.username as author
from articles
join users as authors on authors.id = articles.author_id
where known_viewer(:viewer_id)
order by articles.id;

-- name: create_article
-- A new article with its tags, which must not repeat, as its author sees it. The new rows stand in for the tables, so that
-- one statement stores and answers: a client who hears that it failed knows that nothing was stored.
-- check: conflict articles_slug_key, because a slug ends with the article's id
-- check: conflict article_tags_pkey, because the caller gives each tag once
with articles as (
    insert into articles (author_id, slug_words, title, description, body)
    values (:viewer_id, :slug_words, :title, :description, :body)
    returning id, author_id, slug, title, description, body, created_at, updated_at
), article_tags as (
    insert into article_tags (article_id, tag)
    select articles.id, tag from articles cross join unnest(:tags::text[]) as tag
    returning article_id, tag
)
select
    articles.body,
    -- include: article_columns
from articles
join users as authors on authors.id = articles.author_id;

-- name: update_article
-- Changes what is not null, and replaces the tags where they are not null; its slug.
-- check: conflict articles_slug_key, because a slug ends with the article's id
-- check: null :tags, because no tags given means that none is deleted
with article as (
    update articles
    set slug_words = coalesce(:slug_words, slug_words),
        title = coalesce(:title, title),
        description = coalesce(:description, description),
        body = coalesce(:body, body),
        updated_at = now()
    where id = :article_id
    returning id, slug
), untagged as (
    delete from article_tags using article
    where article_tags.article_id = article.id and article_tags.tag <> all (:tags::text[])
), tagged as (
    insert into article_tags (article_id, tag)
    select article.id, tag from article cross join unnest(:tags::text[]) as tag
    on conflict do nothing
)
select slug from article;

-- name: delete_article
-- With its tags, favorites and comments.
delete from articles where id = :article_id;

-- name: list_all_articles
with page as (
    select id as article_id from articles
    where id < :before
    order by id desc limit :limit offset :offset
)
-- include: articles_on_page
;

-- name: list_articles_by_tag
with page as (
    select article_id from article_tags
    where tag = :tag and article_id < :before
    order by article_id desc limit :limit offset :offset
)
-- include: articles_on_page
;

-- name: list_articles_by_author
with page as (
    select id as article_id from articles
    where author_id = (select id from users where username = :author) and id < :before
    order by id desc limit :limit offset :offset
)
-- include: articles_on_page
;

-- name: list_articles_favorited_by
with page as (
    select article_id from favorites
    where user_id = (select id from users where username = :favorited_by) and article_id < :before
    order by article_id desc limit :limit offset :offset
)
-- include: articles_on_page
;

-- name: list_articles_by_filters
-- Several filters at once; a null one lets everything pass.
with page as (
    select id as article_id from articles
    where id < :before
      and (:author::text is null or author_id = (select id from users where username = :author))
      and (:tag::text is null or exists (
          select from article_tags where article_tags.article_id = articles.id and article_tags.tag = :tag))
      and (:favorited_by::text is null or exists (
          select from favorites where favorites.article_id = articles.id
          and favorites.user_id = (select id from users where username = :favorited_by)))
    order by id desc limit :limit offset :offset
)
-- include: articles_on_page
;

-- name: list_feed
-- Articles of the authors whom the viewer follows: the newest of each author first, then the newest of those.
with page as (
    select newest.id as article_id
    from follows
    cross join lateral (
        select articles.id from articles
        where articles.author_id = follows.followed_id and articles.id < :before
        order by articles.id desc limit :limit::bigint + :offset::bigint
    ) as newest
    where follows.follower_id = :viewer_id
    order by newest.id desc limit :limit offset :offset
)
-- include: articles_on_page
;

-- name: count_all_articles
-- The sum of the counters that triggers keep: exact, and a look at 32 rows.
-- check: full scan of article_counts, because it has 32 rows
select coalesce(sum(articles), 0)::bigint from article_counts;

-- name: count_articles_by_tag
select count(*) from article_tags where tag = :tag;

-- name: count_articles_by_author
select count(*) from articles where author_id = (select id from users where username = :author);

-- name: count_articles_favorited_by
select count(*) from favorites where user_id = (select id from users where username = :favorited_by);

-- name: count_articles_by_filters
-- check: full scan of articles, because combined filters are rare, and no one plan serves them all
select count(*)
from articles
where (:author::text is null or author_id = (select id from users where username = :author))
  and (:tag::text is null or exists (
      select from article_tags where article_tags.article_id = articles.id and article_tags.tag = :tag))
  and (:favorited_by::text is null or exists (
      select from favorites where favorites.article_id = articles.id
      and favorites.user_id = (select id from users where username = :favorited_by)));

-- name: count_feed
select count(*)
from follows
join articles on articles.author_id = follows.followed_id
where follows.follower_id = :viewer_id;
