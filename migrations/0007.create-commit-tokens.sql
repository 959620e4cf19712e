-- Which pieces of work were committed, for those who lost their connection at COMMIT. Part of the layer, not the example.
-- depends:

-- `Database.run(..., token=...)` writes its token here in the transaction that does the work, so the row is there exactly
-- if the work is. Inserting it again waits for a transaction that is still running and is refused by the key after one
-- that was committed: that is the proof, and why nothing but a unique key can be it. A token has no use once its caller
-- knows; `Database.forget_tokens()` deletes those older than a day, 24 times as long as any run() may take.
create table commit_tokens (
    token uuid not null,
    created_at timestamptz not null default now(),
    constraint commit_tokens_pkey primary key (token)
);

-- What is old enough to go: a block range index, since rows come in the order of time, costs almost nothing to keep.
create index commit_tokens_created_at_idx on commit_tokens using brin (created_at);
