-- name: add_entry
-- One entry of the ledger.
insert into entries (id, amount) values (:id, :amount);

-- name: find_amount
-- The amount of an entry.
select amount from entries where id = :id;

-- name: wait_and_count
-- How many entries there are, after so many seconds.
select count(*) from entries, pg_sleep(:seconds);
