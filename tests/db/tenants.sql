-- name: add_order
insert into orders (tenant, what) values (nullif(current_setting('app.tenant', true), '')::int, :what);

-- name: list_orders
select what from orders order by what;

-- name: stream_orders
select what from orders order by what;

-- name: fail
select 1 / :zero::int;

-- name: wait
select 1 from pg_sleep(30);

-- name: get_tenant
select coalesce(current_setting('app.tenant', true), '');
