-- Users as other users see them, and who follows whom.

-- fragment: profile_columns
-- A user as the viewer sees them; a stranger (null) follows nobody.
-- check: null :viewer_id, because a stranger follows nobody
users.username,
users.bio,
users.image,
exists (
    select from follows where follows.follower_id = :viewer_id and follows.followed_id = users.id
) as following

-- name: get_profile
-- The profile with this user name.
select
    -- include: profile_columns
from users
where known_viewer(:viewer_id) and users.username = :username;

-- name: list_profiles
-- Profiles in the order in which people registered, after the one with this key.
select
    users.id as key,
    -- include: profile_columns
from users
where known_viewer(:viewer_id) and users.id > :after
order by users.id
limit :limit;

-- name: follow
-- The profile, followed now; following twice is following once. One statement stores and answers, and sees the table as it
-- was before: that the viewer follows is said, not read.
with followed as (
    insert into follows (follower_id, followed_id)
    select :viewer_id, users.id from users where users.username = :username
    on conflict do nothing
)
select users.username, users.bio, users.image, true as following
from users
where known_viewer(:viewer_id) and users.username = :username;

-- name: unfollow
-- The profile, not followed now; unfollowing someone who is not followed does nothing. One statement, as above.
with unfollowed as (
    delete from follows using users
    where follows.follower_id = :viewer_id and follows.followed_id = users.id and users.username = :username
)
select users.username, users.bio, users.image, false as following
from users
where known_viewer(:viewer_id) and users.username = :username;
