-- Who favorited which article.
-- depends: 0003.create-articles

-- The primary key walks a user's favorites newest article first; the index counts an article's favorites without reading
-- the table. There is no counter column: a hot article's row would become a queue for everyone who favorites it.
create table favorites (
    user_id bigint not null,
    article_id bigint not null,
    created_at timestamptz not null default now(),
    constraint favorites_pkey primary key (user_id, article_id),
    constraint favorites_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint favorites_article_id_fkey foreign key (article_id) references articles (id) on delete cascade
);

create index favorites_article_id_idx on favorites (article_id);
