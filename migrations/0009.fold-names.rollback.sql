alter table users drop column email_twin, drop column username_twin;
drop function folded(text);
