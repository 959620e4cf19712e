comment on column users.password_hash is null;

do $$
declare
    name text;
begin
    foreach name in array array[
        'viewer_exists(bigint)', 'refuse_changed_twins()', 'refuse_added_twins()', 'count_articles()', 'recount_articles()',
        'count_no_articles()', 'count_favorites()', 'count_no_favorites()', 'forget_counts_of_users()'
    ] loop
        execute format('alter function %s security invoker reset search_path', name);
    end loop;
end
$$;
