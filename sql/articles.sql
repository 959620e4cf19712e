-- Articles, alone and in lists.

-- fragment: article_columns
-- An article as the viewer sees it, without its body; a stranger (null) favors and follows nothing.
-- check: null :viewer_id, because a stranger favors nothing
-- check: not null tag_list[], because a constraint keeps nulls out of tags
-- check: not null created_at, because a column that is never null is written as text
-- check: not null updated_at, because a column that is never null is written as text
articles.id as key,
articles.slug,
articles.title,
articles.description,
articles.tags as tag_list,
iso8601(articles.created_at) as created_at,
iso8601(articles.updated_at) as updated_at,
exists (
    select from favorites where favorites.article_id = articles.id and favorites.user_id = :viewer_id
) as favorited,
coalesce((
    select sum(favorite_counts.favorites) from favorite_counts where favorite_counts.article_id = articles.id
), 0) as favorites_count,
-- include: profiles.author_columns

-- fragment: articles_on_page
-- The articles that the list put on its page, newest first, and the total that it counted. As an array their number is a
-- constant to the planner (ten), whatever the limit is: every list stays a walk along one index and a handful of look-ups,
-- planned once.
select
    coalesce((select total.number from total), 0) as total,
    -- include: article_columns
from articles
join users as authors on authors.id = articles.author_id
where known_viewer(:viewer_id, :generation) and articles.id = any (array(select page.article_id from page))
order by articles.id desc

-- name: get_article
-- The article with this slug, and its body.
select
    articles.body,
    -- include: article_columns
from articles
join users as authors on authors.id = articles.author_id
where known_viewer(:viewer_id, :generation) and articles.slug = :slug;

-- name: get_article_key
-- The article's id and its author's, for those who ask whether the viewer may touch it.
select id, author_id
from articles
where known_viewer(:viewer_id, :generation) and slug = :slug;

-- name: lock_article
-- The same, and the article stays as it is until the transaction ends: who changes its tags must see those of whoever
-- changed them just before.
select id, author_id
from articles
where known_viewer(:viewer_id, :generation) and slug = :slug
for no key update;

-- name: create_article
-- A new article as its author sees it. The new row stands in for the table, so that one statement stores and answers: a
-- client who hears that it failed knows that nothing was stored.
-- check: conflict articles_slug_key, because a slug ends with the article's id
with articles as (
    insert into articles (author_id, slug_words, title, description, body, tags)
    values (:viewer_id, :slug_words, :title, :description, :body, :tags)
    returning id, author_id, slug, title, description, body, tags, created_at, updated_at
)
select
    articles.body,
    -- include: article_columns
from articles
join users as authors on authors.id = articles.author_id
where known_viewer(:viewer_id, :generation);

-- name: update_article
-- Changes what is not null; its slug.
-- check: conflict articles_slug_key, because a slug ends with the article's id
update articles
set slug_words = coalesce(:slug_words, slug_words),
    title = coalesce(:title, title),
    description = coalesce(:description, description),
    body = coalesce(:body, body),
    tags = coalesce(:tags, tags),
    updated_at = now()
where id = :article_id
returning slug;

-- name: delete_article
-- With its tags, favorites and comments.
delete from articles where id = :article_id;

-- fragment: number_of_all
-- The sum of the counters that triggers keep, as all totals are: exact, and a look at a few rows.
-- check: full scan of article_counts, because it has a row for each slot
select coalesce(sum(article_counts.articles), 0)::bigint as number from article_counts

-- fragment: number_by_tag
select coalesce(sum(tag_counts.articles), 0) as number from tag_counts where tag_counts.tag = :tag

-- fragment: number_by_author
select coalesce(sum(author_counts.articles), 0) as number
from author_counts where author_counts.author_id = (select id from users where username = :author)

-- fragment: number_favorited_by
select coalesce(sum(favorited_counts.favorites), 0) as number
from favorited_counts where favorited_counts.user_id = (select id from users where username = :favorited_by)

-- fragment: number_in_feed
-- The sum over the authors whom the viewer follows.
select coalesce(sum(author_counts.articles), 0) as number
from follows
join author_counts on author_counts.author_id = follows.followed_id
where follows.follower_id = :viewer_id

-- fragment: articles_passing
-- The articles that pass several filters; a null one lets everything pass. Counters tell which filter leaves the fewest
-- articles: only its branch runs, and looks each of those up in the others. (`exists` would let the planner
-- hash all articles of a tag or user.)
-- check: null :author, because no author is looked for then
-- check: null :favorited_by, because no user is looked for then
-- check: null :tag, because no tag is looked for then
with asked as materialized (
    select
        authors.id as author_id,
        fans.id as fan_id,
        case when :author::text is not null then coalesce((
            select sum(author_counts.articles) from author_counts where author_counts.author_id = authors.id
        ), 0) end as by_author,
        case when :favorited_by::text is not null then coalesce((
            select sum(favorited_counts.favorites) from favorited_counts where favorited_counts.user_id = fans.id
        ), 0) end as favorited,
        case when :tag::text is not null then coalesce((
            select sum(tag_counts.articles) from tag_counts where tag_counts.tag = :tag
        ), 0) end as tagged
    from (values (1)) as one (row)
    left join users as authors on authors.username = :author
    left join users as fans on fans.username = :favorited_by
), shortest as materialized (
    select
        author_id,
        fan_id,
        case least(by_author, favorited, tagged) when by_author then 'author' when favorited then 'fan' else 'tag' end as walk
    from asked
), passing as materialized (
    select articles.id from articles
    where (select walk = 'author' from shortest) and articles.author_id = (select author_id from shortest)
      and (:tag::text is null or (
          select true from article_tags where article_tags.article_id = articles.id and article_tags.tag = :tag))
      and (:favorited_by::text is null or (
          select true from favorites
          where favorites.article_id = articles.id and favorites.user_id = (select fan_id from shortest)))
    union all
    select favorites.article_id from favorites
    where (select walk = 'fan' from shortest) and favorites.user_id = (select fan_id from shortest)
      and (:tag::text is null or (
          select true from article_tags where article_tags.article_id = favorites.article_id and article_tags.tag = :tag))
      and (:author::text is null or (
          select true from articles
          where articles.id = favorites.article_id and articles.author_id = (select author_id from shortest)))
    union all
    select article_tags.article_id from article_tags
    where (select walk = 'tag' from shortest) and article_tags.tag = :tag
      and (:author::text is null or (
          select true from articles
          where articles.id = article_tags.article_id and articles.author_id = (select author_id from shortest)))
      and (:favorited_by::text is null or (
          select true from favorites
          where favorites.article_id = article_tags.article_id and favorites.user_id = (select fan_id from shortest)))
)

-- name: list_all_articles
with page as (
    select id as article_id from articles
    where id < :before
    order by id desc limit :limit offset :offset
), total as (
    -- include: number_of_all
)
-- include: articles_on_page
;

-- name: list_articles_by_tag
with page as (
    select article_id from article_tags
    where tag = :tag and article_id < :before
    order by article_id desc limit :limit offset :offset
), total as (
    -- include: number_by_tag
)
-- include: articles_on_page
;

-- name: list_articles_by_author
with page as (
    select id as article_id from articles
    where author_id = (select id from users where username = :author) and id < :before
    order by id desc limit :limit offset :offset
), total as (
    -- include: number_by_author
)
-- include: articles_on_page
;

-- name: list_articles_favorited_by
with page as (
    select article_id from favorites
    where user_id = (select id from users where username = :favorited_by) and article_id < :before
    order by article_id desc limit :limit offset :offset
), total as (
    -- include: number_favorited_by
)
-- include: articles_on_page
;

-- name: list_articles_by_filters
-- include: articles_passing
, page as (
    select id as article_id from passing
    where id < :before
    order by id desc limit :limit offset :offset
), total as (
    select count(*) as number from passing
)
-- include: articles_on_page
;

-- name: list_feed
-- Articles of the authors whom the viewer follows. Who follows few: the newest of each author, then the newest of those.
-- Who follows many: a walk through the newest articles of all authors, which soon meets enough; where it does not within
-- 20,000 articles, the first way takes over. Either costs the same however many articles there are.
with followed as materialized (
    select count(*) > 200 as many from (select from follows where follower_id = :viewer_id limit 201) as first
), walked as materialized (
    select newest.id from (
        select articles.id, articles.author_id from articles
        where articles.id < :before
        order by articles.id desc limit case when (select many from followed) then 20000 else 0 end
    ) as newest
    where (select true from follows where follows.follower_id = :viewer_id and follows.followed_id = newest.author_id)
    order by newest.id desc limit :limit::bigint + :offset::bigint
), page as (
    select found.id as article_id from (
        select id from walked where (select count(*) from walked) >= :limit::bigint + :offset::bigint
        union all
        select newest.id
        from follows
        cross join lateral (
            select articles.id from articles
            where articles.author_id = follows.followed_id and articles.id < :before
            order by articles.id desc limit :limit::bigint + :offset::bigint
        ) as newest
        where follows.follower_id = :viewer_id
          and (select count(*) from walked) < :limit::bigint + :offset::bigint
    ) as found
    order by found.id desc limit :limit offset :offset
), total as (
    -- include: number_in_feed
)
-- include: articles_on_page
;

-- name: count_all_articles
-- include: number_of_all
;

-- name: count_articles_by_tag
-- include: number_by_tag
;

-- name: count_articles_by_author
-- include: number_by_author
;

-- name: count_articles_favorited_by
-- include: number_favorited_by
;

-- name: count_articles_by_filters
-- include: articles_passing
select count(*) from passing;

-- name: count_feed
-- include: number_in_feed
;

-- name: copy_articles
-- Many articles at once.
-- check: conflict articles_slug_key, because a slug ends with the article's id
copy articles (author_id, slug_words, title, description, body, tags, created_at, updated_at) from stdin;

-- name: find_newest_key
-- The id of the newest article.
select id from articles order by id desc limit 1;
