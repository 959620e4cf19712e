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
-- Following twice is following once; following nobody by that name does nothing.
insert into follows (follower_id, followed_id)
select :follower_id, users.id from users where users.username = :username
on conflict do nothing;

-- name: unfollow
-- Unfollowing someone who is not followed does nothing.
delete from follows using users
where follows.follower_id = :follower_id and follows.followed_id = users.id and users.username = :username;
