-- Who favors which article.

-- name: favorite
-- Favoriting twice is favoriting once; an article that does not exist is left to the read that follows.
insert into favorites (user_id, article_id)
select :user_id, articles.id from articles where articles.slug = :slug
on conflict do nothing;

-- name: unfavorite
-- Undoing what was not done does nothing.
delete from favorites using articles
where favorites.user_id = :user_id and favorites.article_id = articles.id and articles.slug = :slug;
