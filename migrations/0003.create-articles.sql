-- Articles and their tags.
-- depends: 0002.create-follows

-- Newest first is "by id, descending": identities are handed out in the order of insertion, are unique, so that no two
-- articles tie, and are already the key of every index that a list walks. A cursor is then one number, and a page can
-- neither repeat nor skip an article.
-- A slug is the title's words and the id: titles may repeat, slugs cannot, and no insert ever has to try again.
create table articles (
    id bigint generated always as identity,
    author_id bigint not null,
    slug_words text not null,
    slug text not null generated always as (ltrim(slug_words || '-' || id::text, '-')) stored,
    title text not null,
    description text not null,
    body text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint articles_pkey primary key (id),
    constraint articles_author_id_fkey foreign key (author_id) references users (id) on delete cascade,
    constraint articles_slug_key unique (slug),
    constraint articles_slug_words_check check (char_length(slug_words) <= 300),
    constraint articles_title_check check (char_length(title) between 1 and 300)
);

-- An author's articles, newest first; also the foreign key's index.
create index articles_author_id_id_idx on articles (author_id, id);

-- Tags are plain text: nothing but the name is known of a tag, so a table of tags would only add a join to every list.
-- Sorted by code point ("C"), which is what clients in every language agree on, and the fastest to compare.
-- The primary key gives an article's tags in order; the index walks a tag's articles newest first, and hops from one tag
-- to the next to list them all.
create table article_tags (
    article_id bigint not null,
    tag text collate "C" not null,
    constraint article_tags_pkey primary key (article_id, tag),
    constraint article_tags_article_id_fkey foreign key (article_id) references articles (id) on delete cascade,
    constraint article_tags_tag_check check (char_length(tag) between 1 and 100)
);

create index article_tags_tag_article_id_idx on article_tags (tag, article_id);
