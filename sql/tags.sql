-- name: list_tags
-- Every tag in use, sorted: of a table that triggers keep.
-- check: full scan of tags, because a list of them has all
select tag from tags order by tag;
