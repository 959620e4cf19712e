alter table users drop column twin;
drop function folded_name(text);
