-- Changes of state that people outside want to be told of.

-- One row for each change, entered by the transaction that makes it, and what becomes of telling it. Holds no address.
create table notices (
    id integer primary key autoincrement,
    noted_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    -- What changed: a run; a source that something is expected of; or events of an account, by their numbers.
    run_id integer,
    source text,
    account text,
    events text,
    -- The state that was entered.
    standing text not null,
    -- What it is to people, and the body that is posted, once that is decided.
    topic text,
    body text,
    attempts integer not null default 0 check (attempts >= 0),
    -- Why the last attempt came to nothing.
    answer text,
    outcome text check (outcome in ('delivered', 'given_up')),
    ended_at text,
    check ((run_id is not null) + (source is not null) + (account is not null) = 1),
    check ((account is null) = (events is null)),
    check ((topic is null) = (body is null)),
    check ((outcome is null) = (ended_at is null)),
    check (outcome is null or body is not null)
) strict;

create index notices_open on notices (id) where outcome is null;

-- The one receiver of notices, once somebody has configured it: one process at a time posts to it.
create table hook (
    id integer primary key not null check (id = 1),
    -- The number of the claim, which fences, and until when it is its holder's own.
    claims integer not null default 0 check (claims >= 0),
    held_until text,
    -- After posts in a row that came to nothing: not before this moment.
    faults integer not null default 0 check (faults >= 0),
    due_at text
) strict;

-- What went wrong and has not gone well since: a digest of whose key, what, from where and under which name.
create table troubles (
    subject text primary key not null,
    -- The run that went wrong last.
    run_id integer not null
) strict, without rowid;

-- The doubt that people were told of: the attempt that left the event in it.
alter table event_queue add column told_attempt integer;

create trigger runs_are_noted after update of status on runs
when new.status <> old.status and new.status in ('succeeded', 'partial', 'failed', 'held')
begin
    insert into notices (run_id, standing) values (new.id, new.status);
end;

create trigger expectations_are_noted after update of standing on expectations
when new.standing <> old.standing
begin
    insert into notices (source, standing) values (new.source, new.standing);
end;
