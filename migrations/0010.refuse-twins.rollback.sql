drop trigger users_twin_insert on users;
drop function refuse_names_of_twins();
drop trigger users_twin_update on users;
drop function refuse_name_of_twin();
drop index users_twins_idx;
drop index users_username_folded_key;
update users set twin = false where twin;
