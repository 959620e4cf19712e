-- The answers to writes that clients may repeat with the same Idempotency-Key. Part of the kit, not the example.
-- depends:

-- A row is written in the transaction of the write that it answers, so it is there exactly if the write is: a client that
-- lost the answer, or whose service lost its database at COMMIT, repeats the request and finds the row, or nothing was
-- stored. A mark outside of that transaction (a cache, a row of its own) could be there without the write, or be missing.
--
-- A key belongs to a user: nobody can read another user's answers by guessing keys. There is no foreign key, because the
-- kit knows no table of users; what a deleted user leaves goes with the age of the rows.
--
-- `fingerprint` is the SHA-256 of method, path, query and body: a key with another request is refused, and the request
-- itself is not kept. `headers` are lines, `name: value`. The answer is kept as it was sent, because the rows that it was
-- made of may have changed since. The limits are those of app/http/idempotency; the checks are the backstop.
create table idempotency_keys (
    user_id bigint not null,
    key text not null,
    fingerprint bytea not null,
    status integer not null,
    headers text not null,
    body bytea not null,
    created_at timestamptz not null default now(),
    constraint idempotency_keys_pkey primary key (user_id, key),
    constraint idempotency_keys_key_check check (length(key) between 1 and 255),
    constraint idempotency_keys_fingerprint_check check (length(fingerprint) = 32),
    constraint idempotency_keys_body_check check (length(body) <= 1048576)
);

-- Old keys are deleted in batches, the oldest first: each batch begins at the left end of this index. Rows come in the
-- order of time, so that a new entry goes to the right end and costs little. A block range index is smaller, but each
-- batch would read every block that the batches before it have emptied.
create index idempotency_keys_created_at_idx on idempotency_keys (created_at);
