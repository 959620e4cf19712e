drop function known_viewer(bigint, integer);
drop function viewer_exists(bigint, integer);
alter table users drop column token_generation;
