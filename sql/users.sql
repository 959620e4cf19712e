-- Accounts: what their owners see of themselves.

-- name: create_user
-- A new account; its e-mail address and its name are nobody else's.
insert into users (username, email, password_hash)
values (:username, :email, :password_hash)
returning id, username, email, bio, image;

-- name: find_account
-- The account with this e-mail address, however it is written, and the hash of its password. Addresses that were the same
-- before such were refused differ in more than capitals: of those it is the one that is meant.
select id as "user.id", username as "user.username", email as "user.email", bio as "user.bio", image as "user.image",
       password_hash, token_generation
from users
where (folded(email) = folded(:email) and not email_twin) or (lower(email) = lower(:email) and email_twin)
limit 1;

-- name: get_user
-- The account with this id, while a token of this generation is good.
select id, username, email, bio, image
from users
where id = :user_id and token_generation = :generation;

-- name: update_user
-- Changes what is given: null leaves a name, address or password alone; bio and image may become null, so a flag says
-- whether they are given.
update users
set username = coalesce(:username, username),
    email = coalesce(:email, email),
    password_hash = coalesce(:password_hash, password_hash),
    bio = case when :sets_bio then :bio else bio end,
    image = case when :sets_image then :image else image end,
    updated_at = now()
where id = :user_id and token_generation = :generation
returning id, username, email, bio, image;

-- name: end_tokens
-- Ends every token that the account has, the one that asks for it too.
update users
set token_generation = token_generation + 1
where id = :user_id and token_generation = :generation;

-- name: get_taken
-- Which of this name and this address another account has, but for those that the account with this id has already; null
-- is nobody's. What is the same, `folded` says; twins stand in an index of their own.
-- check: null :user_id, because a newcomer has no account
-- check: null :username, because null is nobody's name
-- check: null :email, because null is nobody's address
select
    not exists (select from users where users.id = :user_id and users.username = :username) and exists (
        select from users
        where users.id is distinct from :user_id and (
            (folded(users.username) = folded(:username) and not users.username_twin)
            or (folded(users.username) = folded(:username) and users.username_twin)
        )
    ) as username,
    not exists (select from users where users.id = :user_id and users.email = :email) and exists (
        select from users
        where users.id is distinct from :user_id and (
            (folded(users.email) = folded(:email) and not users.email_twin)
            or (folded(users.email) = folded(:email) and users.email_twin)
        )
    ) as email;

-- name: copy_users
-- Many accounts at once.
copy users (username, email, password_hash, bio, image) from stdin;

-- name: find_newest_key
-- The id of the newest account.
select id from users order by id desc limit 1;
