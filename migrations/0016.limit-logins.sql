-- Guessing of passwords is limited, over all processes of the service.
-- depends: 0015.end-tokens

-- Attempts to log in that failed or are still being verified, of one account from one address. Counted here and not in a
-- process, since the next attempt reaches another one. Counted before the password is verified: a thousand attempts at
-- once would all be let through by a count of failures.
-- The account is the SHA-256 of its e-mail address as `folded` has it, whether there is one or not: an answer that depended
-- on that would tell which addresses have accounts. An address is that of IPv4, or the network of 64 bits of IPv6, which
-- is what one customer gets.
-- Unlogged: a commit that touches nothing else waits for no disk, and a crash forgets the attempts of some minutes.
create unlogged table login_attempts (
    account bytea not null,
    address text not null,
    attempts integer not null default 1,
    since timestamptz not null default now(),
    constraint login_attempts_pkey primary key (account, address)
);
create index login_attempts_address_idx on login_attempts (address);
create index login_attempts_since_idx on login_attempts (since);

-- From where accounts logged in with success: there their owners may go on when others guess from everywhere. It is in no
-- statement but that of a log-in, and kept for 90 days.
create table login_addresses (
    account bytea not null,
    address text not null,
    last_at timestamptz not null default now(),
    constraint login_addresses_pkey primary key (account, address)
);
create index login_addresses_last_at_idx on login_addresses (last_at);

create function login_account(email text) returns bytea
language sql immutable strict parallel safe
return sha256(convert_to(folded(email), 'UTF8'));
