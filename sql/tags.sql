-- name: list_tags
-- Every tag in use, sorted: hops along the index from one tag to the next, so that its cost is the number of tags and
-- not the number of tagged articles.
with recursive tags as (
    (select tag from article_tags order by tag limit 1)
    union all
    select (select article_tags.tag from article_tags where article_tags.tag > tags.tag order by article_tags.tag limit 1)
    from tags
    where tags.tag is not null
)
select tag from tags where tag is not null;
