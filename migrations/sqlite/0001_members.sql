-- Times are UTC text of one width, `2026-11-22T18:00:00.000000Z`, so that text compares as time does.

-- One Luma key and what it reaches.
create table accounts (
    name text primary key not null,
    -- Luma's id of the user the key belongs to: a ledger is worth nothing for anybody else.
    identity text,
    -- Where that was asked: a host, `loopback`, or `rehearsal` for the built-in Luma.
    origin text,
    -- Nobody sends before this moment.
    blocked_until text,
    block_reason text,
    -- What the block is about: a block by Luma stands, one of ours ends when Luma answers well.
    block_cause text check (block_cause in ('throttled', 'refused', 'faults')),
    -- Passing faults since the last answer that was none.
    faults integer not null default 0 check (faults >= 0),
    -- Bytes of the largest body worth trying, learnt from answers of 413, and until when that is believed.
    max_body integer check (max_body > 0),
    max_body_until text,
    -- Members in the ledger, kept by the settles.
    members integer not null default 0 check (members >= 0),
    check ((blocked_until is null) = (block_reason is null)),
    check ((blocked_until is null) = (block_cause is null)),
    check ((max_body is null) = (max_body_until is null))
) strict;

insert into accounts (name) values ('main');

-- One process that claims batches. Its claims are good until its lease ends.
create table workers (
    id integer primary key autoincrement,
    -- The machine and process namespace in which `pid` means something.
    host text not null,
    pid integer not null,
    -- When the process began, as the system tells it: a pid alone is used again.
    birth text not null,
    started_at text not null,
    lease_until text not null
) strict;

create table runs (
    id integer primary key autoincrement,
    account text not null references accounts (name),
    source text not null check (source in ('queue', 'folder', 'sql', 'file')),
    started_by text not null check (started_by in ('manual', 'folder', 'queue', 'schedule')),
    -- What people call it: the file's name, or the source's.
    label text not null,
    status text not null check (status in
        ('queued', 'running', 'succeeded', 'partial', 'failed', 'held', 'canceled')),
    reason text,
    created_at text not null,
    finished_at text,
    -- Every row read, and those that are counted but not kept in the queue.
    read_rows integer not null default 0 check (read_rows >= 0),
    duplicate_rows integer not null default 0 check (duplicate_rows >= 0),
    unchanged_rows integer not null default 0 check (unchanged_rows >= 0),
    check ((status in ('queued', 'running', 'held')) = (finished_at is null)),
    check (status <> 'failed' or reason is not null)
) strict;

create index runs_open on runs (status) where status in ('queued', 'running', 'held');

-- A file that was taken in, or is being taken in.
create table input_files (
    id integer primary key autoincrement,
    run_id integer not null unique references runs (id),
    -- The bytes and what was asked of them; the same again is not taken twice.
    identity text not null unique,
    sha256 text not null,
    size integer not null check (size >= 0),
    name text not null,
    -- Where the file is now.
    path text not null,
    extra_tags text not null default '',
    -- What the reader found: encoding, delimiter, columns; for people.
    shape text,
    -- Parts into which the rows were divided by address, and how many are in the queue.
    parts integer not null check (parts > 0),
    parts_done integer not null default 0,
    state text not null check (state in ('taking', 'taken', 'archived')),
    check (parts_done between 0 and parts),
    check (state = 'taking' or parts_done = parts)
) strict;

-- Lines of a file that ended at intake without a row in the queue (unchanged, duplicate), packed;
-- they stand here until the result files are written.
create table unkept_lines (
    run_id integer not null references runs (id),
    part integer not null,
    chunk integer not null,
    lines blob not null,
    primary key (run_id, part, chunk)
) strict, without rowid;

-- Each distinct set of tags once: sorted ids, joined by `;`. Set 0 is the empty one.
create table tag_sets (
    id integer primary key,
    tags text not null unique
) strict;

insert into tag_sets (id, tags) values (0, '');

-- Members that share one request. A batch in flight is its claim's own.
create table batches (
    id integer primary key autoincrement,
    account text not null references accounts (name),
    run_id integer not null references runs (id),
    tag_set_id integer not null references tag_sets (id),
    -- Smaller goes first.
    priority integer not null,
    row_count integer not null check (row_count > 0),
    -- Bytes that its addresses take in a body.
    bytes integer not null check (bytes > 0),
    state text not null check (state in
        ('pending', 'in_flight', 'delivered', 'rejected', 'failed', 'split', 'canceled')),
    due_at text not null,
    attempts integer not null default 0 check (attempts >= 0),
    claim_id integer,
    worker_id integer,
    settled_at text,
    check ((state = 'in_flight') = (claim_id is not null)),
    check ((state = 'in_flight') = (worker_id is not null)),
    check ((state in ('pending', 'in_flight')) = (settled_at is null))
) strict;

create index batches_pending on batches (account, priority, id) where state = 'pending';
create index batches_in_flight on batches (worker_id) where state = 'in_flight';
create index batches_run on batches (run_id, tag_set_id, state);

-- Rows to be sent. Other programs insert (email, name, tags, account) and read the outcome on the
-- same row (state, code, reason, attempts, settled_at); the rest is ours.
create table member_queue (
    id integer primary key autoincrement,
    account text not null default 'main',
    email text not null,
    name text,
    tags text,
    -- A row whose batch is in flight is still `pending` here: the batch says so once for all its rows.
    -- Spelled out, the frequent ones first: SQLite builds the list of an `in` anew for every row it checks.
    state text not null default 'new' check (
        state = 'delivered' or state = 'pending' or state = 'new' or state = 'unchanged'
        or state = 'duplicate' or state = 'invalid' or state = 'rejected' or state = 'failed'
        or state = 'suppressed' or state = 'held' or state = 'canceled'),
    code text,
    reason text,
    attempts integer not null default 0 check (attempts >= 0),
    created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    settled_at text,
    run_id integer references runs (id),
    line integer check (line > 0),
    -- The address as it is sent, where that is not `email` to the letter.
    address text,
    key_hash integer,
    tag_set_id integer,
    batch_id integer references batches (id),
    check ((state = 'new') = (run_id is null)),
    check ((state = 'pending' or state = 'new' or state = 'held') = (settled_at is null)),
    check ((batch_id is not null and tag_set_id is not null and key_hash is not null)
        or (state <> 'pending' and state <> 'delivered' and state <> 'rejected' and state <> 'failed')),
    check ((code is not null and reason is not null)
        or (state <> 'invalid' and state <> 'rejected' and state <> 'failed'))
) strict;

create index member_queue_new on member_queue (id) where state = 'new';
create index member_queue_batch on member_queue (batch_id) where batch_id is not null;
create index member_queue_told on member_queue (run_id, line) where code is not null;
-- Rows that no batch leads to.
create index member_queue_unsent on member_queue (run_id) where batch_id is null and run_id is not null;

-- What Luma has confirmed for each person: delivered tags. `key_hash` first, so that a list sorted
-- by it meets the ledger in one pass.
create table ledger (
    account text not null,
    key_hash integer not null,
    email_key text not null,
    tag_set_id integer not null,
    -- The run that delivered last.
    run_id integer not null,
    primary key (account, key_hash, email_key)
) strict, without rowid;

-- Every request, written before it leaves and completed when the answer is in: the log that the
-- sliding window counts, and the number by which a claim is known.
create table attempts (
    id integer primary key autoincrement,
    account text not null references accounts (name),
    worker_id integer not null,
    batch_id integer,
    run_id integer,
    route text not null,
    row_count integer not null default 0,
    started_at text not null,
    finished_at text,
    status integer,
    verdict text check (verdict in
        ('accepted', 'refused', 'too_large', 'throttled', 'transient', 'halted', 'interrupted', 'abandoned')),
    detail text,
    check ((finished_at is null) = (verdict is null)),
    check ((batch_id is null) = (run_id is null))
) strict;

create index attempts_window on attempts (account, finished_at);
create index attempts_batch on attempts (batch_id) where batch_id is not null;
create index attempts_open on attempts (worker_id) where verdict is null;
