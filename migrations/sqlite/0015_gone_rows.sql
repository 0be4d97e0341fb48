-- Rows that are gone from the queue, pruned or forgotten.

-- How they ended: the numbers of their runs stay as they were.
create table gone_rows (
    run_id integer not null references runs (id),
    state text not null,
    -- Empty where the rows had none.
    code text not null,
    row_count integer not null check (row_count > 0),
    primary key (run_id, state, code)
) strict, without rowid;

-- Requests of the run that are no longer on record one by one.
alter table runs add column gone_requests integer not null default 0 check (gone_requests >= 0);
