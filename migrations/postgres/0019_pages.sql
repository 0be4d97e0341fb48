-- The twin of `sqlite/0019_pages.sql`.

-- What pages show of millions of rows without reading each of them.

-- Rows that were not sent, and those that are looked for, counted by what became of them.
create index member_queue_causes on member_queue (run_id, state, code) where code is not null;
-- Rows that no batch leads to, with where they stand.
drop index member_queue_unsent;
create index member_queue_unsent on member_queue (run_id, state, batch_id) where batch_id is null and run_id is not null;

-- Events by where they stand: counted for an account and for all runs, and read page by page.
create index event_queue_counts on event_queue (account, state, run_id);
create index event_queue_pages on event_queue (state, id);

-- How much waited, noted by services once a minute and kept for some hours.
create table depth_notes (
    -- The minute.
    noted_at timestamptz primary key not null,
    waiting bigint not null check (waiting >= 0)
);

-- Sums that only grow, for machines that watch: as they were counted last, and what they had lost by then, because
-- rows that were refused are sent again.
create table totals (
    family text not null check (family in ('rows', 'runs', 'breaches')),
    source text not null,
    word text not null,
    counted bigint not null check (counted >= 0),
    lost bigint not null default 0 check (lost >= 0),
    counted_at timestamptz not null,
    primary key (family, source, word)
);
