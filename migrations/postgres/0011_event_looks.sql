-- The twin of `sqlite/0011_event_looks.sql`: the same tables and columns.

-- Events in doubt that are looked for on Luma.

-- What the looks for an event have come to. They belong to the request that left it in doubt: where another
-- one does, they begin anew.
create table event_looks (
    attempt_id bigint primary key not null,
    event_id bigint not null references event_queue (id) on delete cascade,
    -- Looks that Luma has answered, and those since then that it has not.
    looks bigint not null default 0 check (looks >= 0),
    faults bigint not null default 0 check (faults >= 0),
    -- Since when no look has found it.
    absent_since timestamptz,
    -- The last look.
    looked_at timestamptz not null,
    -- The next one; none once doubt is over, or a person has to look.
    look_at timestamptz
);

create index event_looks_event on event_looks (event_id);
