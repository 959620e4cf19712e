drop trigger comments_body_limit on comments;
drop trigger articles_body_limit on articles;
drop trigger articles_description_limit on articles;
drop trigger users_image_limit on users;
drop trigger users_bio_limit on users;
drop trigger users_username_path on users;
drop function refuse_value();
drop view unreachable_usernames;
drop view values_over_limit;
