-- Attempts to log in, and their limits.

-- name: start_attempt
-- Counts an attempt, and says whether it is within the limits; one that is not is not counted. `window` is in seconds.
-- Attempts at the same moment do not see each other's rows of other pairs, so that the totals may be passed by as many as
-- there are connections; the row of a pair is locked, its limit is exact.
with recent as (
    select login_attempts.account, login_attempts.address, login_attempts.attempts, login_attempts.since
    from login_attempts
    where login_attempts.account = login_account(:email) and login_attempts.since > now() - make_interval(secs => :window)
    union
    select login_attempts.account, login_attempts.address, login_attempts.attempts, login_attempts.since
    from login_attempts
    where login_attempts.address = :address and login_attempts.since > now() - make_interval(secs => :window)
), total as (
    select
        coalesce(sum(recent.attempts) filter (where recent.address = :address), 0) as of_address,
        coalesce(sum(recent.attempts) filter (where recent.account = login_account(:email)), 0) as of_account,
        min(recent.since) as since
    from recent
), started as (
    insert into login_attempts (account, address)
    select login_account(:email), :address
    from total
    where total.of_address < :most_of_address and (
        total.of_account < :most_of_account
        or exists (
            select from login_addresses
            where login_addresses.account = login_account(:email) and login_addresses.address = :address
        )
    )
    on conflict (account, address) do update set
        attempts = case
            when login_attempts.since > now() - make_interval(secs => :window) then login_attempts.attempts + 1
            else 1
        end,
        since = case
            when login_attempts.since > now() - make_interval(secs => :window) then login_attempts.since
            else now()
        end
    where login_attempts.attempts < :most_of_pair or login_attempts.since <= now() - make_interval(secs => :window)
    returning account
)
select
    exists (select from started) as is_allowed,
    ceil(coalesce(extract(epoch from total.since - now()), 0) + :window)::integer as seconds
from total;

-- name: end_attempt
-- A success: what failed before it is forgotten, and the address is known for 90 days. One that is known since less than
-- a day is not written again.
with forgotten as (
    delete from login_attempts
    where login_attempts.account = login_account(:email) and login_attempts.address = :address
)
insert into login_addresses (account, address)
select login_account(:email), :address
where not exists (
    select from login_addresses
    where login_addresses.account = login_account(:email) and login_addresses.address = :address
    and login_addresses.last_at > now() - interval '1 day'
)
on conflict (account, address) do update set last_at = now();

-- name: give_back_attempt
-- An attempt whose password was not looked at.
update login_attempts
set attempts = attempts - 1
where account = login_account(:email) and address = :address and attempts > 0;

-- name: delete_old_attempts
-- Attempts that count no more, with the addresses that were not seen for 90 days.
with forgotten as (
    delete from login_addresses where last_at < now() - interval '90 days'
)
delete from login_attempts where since <= now() - make_interval(secs => :window);
