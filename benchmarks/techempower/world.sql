-- The statements of the tests. Each row of a test with several queries is asked for by a statement of its own.

-- name: get_world
select id, randomnumber as number from world where id = :id;

-- name: update_worlds
-- New numbers for rows that were read one by one: the rules allow one statement for the writes.
update world set randomnumber = changed.number
from unnest(:ids::int[], :numbers::int[]) as changed (id, number)
where world.id = changed.id;

-- name: list_fortunes
select id, message from fortune;
