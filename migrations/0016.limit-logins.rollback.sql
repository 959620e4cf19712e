drop function login_account(text);
drop table login_addresses;
drop table login_attempts;
