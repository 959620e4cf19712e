-- What was answered to requests with an Idempotency-Key.

-- name: try_lock
-- Whether no other transaction holds the key; then this one holds it until it ends. Two keys with the same hash exclude
-- each other while one is in use, which the client of the second sees as a key in use; no more, because find_answer
-- compares the keys themselves.
-- check: not null locked, because the function answers true or false
select pg_try_advisory_xact_lock(hashtextextended(:key, :user_id)) as locked;

-- name: find_answer
-- The answer to the request with this key. A statement of its own after try_lock: its snapshot must be newer than the
-- lock, or it would miss the row of the transaction that held it before.
select fingerprint, status, headers, body
from idempotency_keys
where user_id = :user_id and key = :key;

-- name: create_answer
insert into idempotency_keys (user_id, key, fingerprint, status, headers, body)
values (:user_id, :key, :fingerprint, :status, :headers, :body);

-- name: delete_old_answers
-- At most `batch` of those older than `seconds`; rows that another process deletes now are left to it.
delete from idempotency_keys
where (user_id, key) in (
    select old.user_id, old.key
    from idempotency_keys as old
    where old.created_at < now() - make_interval(secs => :seconds)
    order by old.created_at
    limit :batch
    for update skip locked
);
