-- Schedules, every time that one of them fired, and what is expected of sources.

-- A schedule as the database knows it: what it takes in and when is the configuration's affair.
create table schedules (
    name text primary key not null,
    -- Its expression and zone: due times of another rule have never been missed.
    rule text not null,
    -- What was due until then is decided.
    judged_until text not null,
    paused integer not null default 0 check (paused in (0, 1)),
    -- Who paused or resumed it last, and when.
    changed_at text,
    changed_by text,
    check ((changed_at is null) = (changed_by is null)),
    check (paused = 0 or changed_at is not null)
) strict;

-- One row for each time that a schedule was due or set off by hand. Who enters it fires: there is no second
-- row for the same due time.
create table schedule_fires (
    id integer primary key autoincrement,
    schedule text not null references schedules (name),
    due_at text not null,
    started_by text not null check (started_by in ('schedule', 'manual')),
    -- Who set it off by hand.
    person text,
    state text not null check (state in ('queued', 'running', 'succeeded', 'partial', 'failed', 'skipped')),
    -- Why it was skipped.
    reason text,
    -- Due times before this one that nobody was there for either: this one stands for them.
    earlier integer not null default 0 check (earlier >= 0),
    created_at text not null,
    started_at text,
    -- Its sources are taken in; rows of its runs may still be sent.
    taken_at text,
    ended_at text,
    -- Who takes its sources in.
    worker_id integer,
    -- How often somebody has begun to: the number of the claim.
    claims integer not null default 0 check (claims >= 0),
    unique (schedule, due_at),
    check ((started_by = 'manual') = (person is not null)),
    check ((state = 'skipped') = (reason is not null)),
    check ((state in ('queued', 'running')) = (ended_at is null)),
    check ((state in ('queued', 'skipped')) = (started_at is null)),
    check ((state = 'running' and taken_at is null) = (worker_id is not null)),
    check (taken_at is not null or state in ('queued', 'running', 'skipped'))
) strict;

create index schedule_fires_open on schedule_fires (schedule) where state in ('queued', 'running');

-- What a fire takes in, and how far it is.
create table schedule_fire_sources (
    fire_id integer not null references schedule_fires (id),
    -- The order.
    place integer not null,
    source text not null,
    taken_at text,
    -- Why it could not be taken in, or not all of it.
    reason text,
    primary key (fire_id, place),
    check (reason is null or taken_at is not null)
) strict, without rowid;

-- The fire that a run belongs to.
alter table runs add column fire_id integer references schedule_fires (id);
create index runs_fire on runs (fire_id) where fire_id is not null;

-- The last time that a source was taken in to its end, and how what is expected of it stands.
create table expectations (
    source text primary key not null,
    -- Since when it is waited for.
    since text not null,
    passed_at text,
    read_rows integer check (read_rows >= 0),
    standing text not null default 'met' check (standing in ('met', 'late', 'short')),
    changed_at text not null,
    check ((passed_at is null) = (read_rows is null))
) strict;
