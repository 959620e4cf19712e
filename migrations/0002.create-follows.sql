-- Who follows whom.
-- depends: 0001.create-users

-- The primary key answers "whom does ann follow" and makes following twice following once; the index answers
-- "who follows bob" and serves the foreign key when bob is deleted.
create table follows (
    follower_id bigint not null,
    followed_id bigint not null,
    created_at timestamptz not null default now(),
    constraint follows_pkey primary key (follower_id, followed_id),
    constraint follows_follower_id_fkey foreign key (follower_id) references users (id) on delete cascade,
    constraint follows_followed_id_fkey foreign key (followed_id) references users (id) on delete cascade
);

create index follows_followed_id_idx on follows (followed_id);
