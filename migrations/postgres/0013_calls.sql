-- The twin of `sqlite/0013_calls.sql`: the same tables and columns.

-- Calls: people who want different tags share requests, and a row may need several, one after the other.

-- The batch that a batch was cut from.
alter table batches add column parent_id bigint;
-- The call of a plan that it makes, by the number of the call's first batch; none where its rows need no other.
alter table batches add column call_id bigint;
-- `tag` gives one tag to people who are contacts already.
alter table batches add column kind text not null default 'import' check (kind in ('import', 'tag'));
-- Some of its rows are still in an earlier call.
alter table batches add column waits bigint not null default 0 check (waits in (0, 1));
-- Rows that it counts and that are in another batch now.
alter table batches add column away_rows bigint not null default 0 check (away_rows >= 0 and away_rows <= row_count);

create index batches_call on batches (call_id) where call_id is not null;
create index batches_waiting on batches (account) where waits = 1;

-- The calls that come after the one that a row is in: numbers, divided by spaces.
alter table member_queue add column calls_left text check (calls_left <> '');

-- A call leaves after the others that hold rows of it.
create table call_waits (
    call_id bigint not null,
    on_call bigint not null,
    primary key (call_id, on_call)
);

create index call_waits_on on call_waits (on_call);

-- Batches that a row was delivered with before the one it is in.
create table row_passes (
    row_id bigint not null,
    batch_id bigint not null,
    primary key (row_id, batch_id)
);
