-- Passes over somebody else's databases, and up to where each source is done.

-- One run over a source.
create table source_passes (
    run_id integer primary key not null references runs (id),
    source text not null,
    -- The process that takes it in.
    worker_id integer not null,
    -- What was asked, as a digest: an answer to something else says nothing about where to go on.
    asked text not null,
    -- The last row that was read, as JSON: its cursor and its key. None where the source has no cursor.
    position text,
    -- What the reader found, for people.
    shape text,
    -- Parts into which the rows were divided by address, once all are read, and how many are in the queue.
    parts integer check (parts > 0),
    parts_done integer not null default 0,
    state text not null check (state in ('taking', 'taken', 'broken')),
    -- Why it broke off.
    reason text,
    check (parts_done >= 0 and parts_done <= coalesce(parts, 0)),
    check (state <> 'taken' or (parts is not null and parts_done = parts)),
    check ((state = 'broken') = (reason is not null))
) strict;

-- A source is taken in by one at a time.
create unique index source_passes_taking on source_passes (source) where state = 'taking';
create index source_passes_source on source_passes (source, run_id);

-- Every row up to here has its outcome.
create table source_positions (
    source text primary key not null,
    asked text not null,
    position text not null,
    -- The pass that read it.
    run_id integer not null references runs (id)
) strict;
