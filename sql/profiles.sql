-- Users as other users see them, and who follows whom.

-- fragment: author_columns
-- A user, `authors`, as the viewer sees them; a stranger (null) follows nobody. Written once for profiles, and for the
-- authors of articles and comments.
-- check: null :viewer_id, because a stranger follows nobody
authors.username as "author.username",
authors.bio as "author.bio",
authors.image as "author.image",
exists (
    select from follows where follows.follower_id = :viewer_id and follows.followed_id = authors.id
) as "author.following"

-- name: get_profile
-- The profile with this user name.
select
    -- include: author_columns
from users as authors
where known_viewer(:viewer_id, :generation) and authors.username = :username;

-- name: list_profiles
-- Profiles in the order of registration, after the one with this key.
select
    authors.id as key,
    -- include: author_columns
from users as authors
where known_viewer(:viewer_id, :generation) and authors.id > :after
order by authors.id
limit :limit;

-- name: follow
-- The profile, followed now; following twice is following once. One statement stores and answers. It sees the table as it
-- was before, so the new row stands in for the table where the profile is read.
with followed as (
    insert into follows (follower_id, followed_id)
    select :viewer_id, users.id from users where users.username = :username
    on conflict do nothing
), follows as (
    select :viewer_id::bigint as follower_id, users.id as followed_id from users where users.username = :username
)
select
    -- include: author_columns
from users as authors
where known_viewer(:viewer_id, :generation) and authors.username = :username;

-- name: unfollow
-- The profile, not followed now; unfollowing someone who is not followed does nothing. One statement, as above: no row
-- stands in for the table.
with unfollowed as (
    delete from follows using users
    where follows.follower_id = :viewer_id and follows.followed_id = users.id and users.username = :username
), follows as (
    select :viewer_id::bigint as follower_id, users.id as followed_id from users where false
)
select
    -- include: author_columns
from users as authors
where known_viewer(:viewer_id, :generation) and authors.username = :username;

-- name: copy_follows
-- Many follows at once.
-- check: conflict follows_pkey, because no field of a request is at fault: the error names the row
copy follows (follower_id, followed_id) from stdin;
