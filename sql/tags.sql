-- name: get_tags
-- Every tag in use, sorted: of a table that triggers keep. As one array: hundreds of rows would take twice the time.
-- check: full scan of tags, because a list of them has all
select array(select tag from tags order by tag) as names;
