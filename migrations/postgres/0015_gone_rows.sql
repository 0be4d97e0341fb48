-- The twin of `sqlite/0015_gone_rows.sql`: the same tables and columns.

-- Rows that are gone from the queue, pruned or forgotten.

-- How they ended: the numbers of their runs stay as they were.
create table gone_rows (
    run_id bigint not null references runs (id),
    state text not null,
    -- Empty where the rows had none.
    code text not null,
    row_count bigint not null check (row_count > 0),
    primary key (run_id, state, code)
);

-- Requests of the run that are no longer on record one by one.
alter table runs add column gone_requests bigint not null default 0 check (gone_requests >= 0);
