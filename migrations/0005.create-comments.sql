-- Comments on articles.
-- depends: 0004.create-favorites

create table comments (
    id bigint generated always as identity,
    article_id bigint not null,
    author_id bigint not null,
    body text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint comments_pkey primary key (id),
    constraint comments_article_id_fkey foreign key (article_id) references articles (id) on delete cascade,
    constraint comments_author_id_fkey foreign key (author_id) references users (id) on delete cascade
);

-- An article's comments, newest first; also the foreign key's index.
create index comments_article_id_id_idx on comments (article_id, id);

create index comments_author_id_idx on comments (author_id);
