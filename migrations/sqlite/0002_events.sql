-- Events: rows to be created on Luma, each at most once.

-- What a run's rows are.
alter table runs add column kind text not null default 'members' check (kind in ('members', 'events'));

-- Events to be created. Other programs insert name and whatever else they know of the event, under the
-- API's names, and read the outcome on the same row (state, code, reason, attempts, api_id,
-- settled_at); the rest is ours. A row is read once: what is changed later has no effect.
create table event_queue (
    id integer primary key autoincrement,
    account text not null default 'main',
    name text not null,
    -- ISO 8601 with an offset, or a local time in `timezone`.
    start_at text,
    timezone text,
    cover_url text,
    duration_minutes integer,
    require_rsvp integer check (require_rsvp in (0, 1)),
    require_rsvp_approval integer check (require_rsvp_approval in (0, 1)),
    zoom_creation_method text,
    zoom_meeting_id text,
    -- A secret: taken away once the event is created or refused.
    zoom_meeting_password text,
    zoom_meeting_url text,
    zoom_session_type text,
    community_api_id text,
    -- What tells this event from all others; derived from its content where it is not given.
    client_key text,
    state text not null default 'new' check (
        state = 'new' or state = 'pending' or state = 'in_flight' or state = 'created' or state = 'unknown'
        or state = 'rejected' or state = 'failed' or state = 'invalid' or state = 'duplicate'
        or state = 'canceled'),
    code text,
    reason text,
    -- Luma's id of the event.
    api_id text,
    attempts integer not null default 0 check (attempts >= 0),
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    settled_at text,
    run_id integer references runs (id),
    line integer check (line > 0),
    -- The body of the request as it was made when the row was read. Holds the password, goes with it.
    body text,
    due_at text,
    -- The attempt that asks for it, or that left it in doubt.
    claim_id integer,
    worker_id integer,
    check ((state = 'new') = (run_id is null)),
    check ((state = 'created') = (api_id is not null)),
    check ((state in ('new', 'pending', 'in_flight', 'unknown')) = (settled_at is null)),
    check ((state in ('in_flight', 'unknown')) = (claim_id is not null)),
    check ((state = 'in_flight') = (worker_id is not null)),
    check ((body is not null and due_at is not null and client_key is not null)
        or state not in ('pending', 'in_flight', 'unknown')),
    check ((body is null and zoom_meeting_password is null) or state not in ('created', 'invalid', 'duplicate', 'canceled')),
    check (zoom_meeting_password is null or state <> 'rejected'),
    check ((code is not null and reason is not null)
        or state not in ('unknown', 'rejected', 'failed', 'invalid', 'duplicate', 'canceled'))
) strict;

create index event_queue_new on event_queue (id) where state = 'new';
-- An event that exists or may come to exist has its key for itself.
create unique index event_queue_living on event_queue (account, client_key)
    where state in ('pending', 'in_flight', 'unknown', 'created');
create index event_queue_due on event_queue (account, due_at) where state = 'pending';
create index event_queue_in_flight on event_queue (worker_id) where state = 'in_flight';
create index event_queue_unknown on event_queue (account, id) where state = 'unknown';
create index event_queue_run on event_queue (run_id, line) where run_id is not null;

-- How doubt about an event ended: who decided what, and when. Append-only.
create table event_resolutions (
    id integer primary key autoincrement,
    event_id integer not null references event_queue (id),
    decided_at text not null,
    decided_by text not null,
    decision text not null check (decision in ('created', 'send_again')),
    api_id text,
    -- The attempt that had left it in doubt.
    attempt_id integer not null,
    check ((decision = 'created') = (api_id is not null))
) strict;

create index event_resolutions_event on event_resolutions (event_id);

-- The log of requests tells of events too: whose, how much was sent, and of answers that prove nothing.
create table attempts_with_events (
    id integer primary key autoincrement,
    account text not null references accounts (name),
    worker_id integer not null,
    batch_id integer,
    event_id integer,
    run_id integer,
    route text not null,
    row_count integer not null default 0,
    -- Bytes of the body, where it stands for an event.
    body_bytes integer check (body_bytes >= 0),
    started_at text not null,
    finished_at text,
    status integer,
    verdict text check (verdict in
        ('accepted', 'refused', 'too_large', 'throttled', 'transient', 'halted', 'interrupted', 'abandoned',
         'ambiguous')),
    detail text,
    check ((finished_at is null) = (verdict is null)),
    check ((batch_id is null and event_id is null) = (run_id is null)),
    check (batch_id is null or event_id is null)
) strict;

insert into attempts_with_events
    (id, account, worker_id, batch_id, run_id, route, row_count, started_at, finished_at, status, verdict, detail)
select id, account, worker_id, batch_id, run_id, route, row_count, started_at, finished_at, status, verdict, detail
  from attempts order by id;

-- The numbers of claims go on where they were: none is ever given twice.
delete from sqlite_sequence where name = 'attempts_with_events';
insert into sqlite_sequence (name, seq)
select 'attempts_with_events', seq from sqlite_sequence where name = 'attempts';
drop table attempts;
alter table attempts_with_events rename to attempts;

create index attempts_window on attempts (account, finished_at);
create index attempts_batch on attempts (batch_id) where batch_id is not null;
create index attempts_event on attempts (event_id) where event_id is not null;
create index attempts_open on attempts (worker_id) where verdict is null;
