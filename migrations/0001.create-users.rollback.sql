drop function known_viewer(bigint);
drop table users;
