-- Proof of delivery: whom Luma has accepted is looked for, and found or not.

-- The states of rows are two more. SQLite changes no CHECK, so the table is made anew with all that it holds.
create table member_queue_with_proof (
    id integer primary key autoincrement,
    account text not null default 'main',
    email text not null,
    name text,
    tags text,
    -- A row whose batch is in flight is still `pending` here: the batch says so once for all its rows.
    -- Spelled out, the frequent ones first: SQLite builds the list of an `in` anew for every row it checks.
    state text not null default 'new' check (
        state = 'delivered' or state = 'pending' or state = 'new' or state = 'verified' or state = 'unchanged'
        or state = 'duplicate' or state = 'invalid' or state = 'rejected' or state = 'failed'
        or state = 'missing' or state = 'suppressed' or state = 'held' or state = 'canceled'),
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
        or (state <> 'pending' and state <> 'delivered' and state <> 'verified' and state <> 'missing'
            and state <> 'rejected' and state <> 'failed')),
    check ((code is not null and reason is not null)
        or (state <> 'invalid' and state <> 'rejected' and state <> 'failed' and state <> 'missing'))
) strict;

insert into member_queue_with_proof
    (id, account, email, name, tags, state, code, reason, attempts, created_at, settled_at, run_id, line,
     address, key_hash, tag_set_id, batch_id)
select id, account, email, name, tags, state, code, reason, attempts, created_at, settled_at, run_id, line,
       address, key_hash, tag_set_id, batch_id
  from member_queue order by id;

-- The numbers of rows go on where they were, also where the last rows were deleted.
delete from sqlite_sequence where name = 'member_queue_with_proof';
insert into sqlite_sequence (name, seq)
select 'member_queue_with_proof', seq from sqlite_sequence where name = 'member_queue';
drop table member_queue;
alter table member_queue_with_proof rename to member_queue;

create index member_queue_new on member_queue (account, id) where state = 'new';
create index member_queue_batch on member_queue (batch_id) where batch_id is not null;
create index member_queue_told on member_queue (run_id, line) where code is not null;
-- Rows that no batch leads to.
create index member_queue_unsent on member_queue (run_id) where batch_id is null and run_id is not null;

-- What a row asks for is fixed once it was read: what is recorded as sent would not be what was sent.
create trigger member_queue_is_fixed before update of account, email, tags, address on member_queue
when old.state in ('pending', 'held', 'failed', 'rejected', 'missing')
    and (new.account is not old.account or new.email is not old.email
        or new.tags is not old.tags or new.address is not old.address)
begin
    select raise(abort, 'a row of member_queue is fixed once it was read: insert another');
end;

-- How the run proves what it has delivered.
alter table runs add column verify text not null default 'none' check (verify in ('none', 'counts', 'full'));

-- What is still to be found out about the people of a delivered batch: how many of them there are, or whether
-- each of them is there; `sought` are those that are in the table `sought`.
alter table batches add column proof text check (proof in ('count', 'look', 'sought'));
-- Rows of it that were found in the audience.
alter table batches add column verified_rows integer not null default 0 check (verified_rows >= 0);
-- People of it that Luma counts as not in the audience, where it counts fewer than were sent.
alter table batches add column absent_rows integer check (absent_rows > 0);
-- Why nothing was found out about them.
alter table batches add column unproved text;

create index batches_proof on batches (account, run_id, id) where proof is not null;

-- How far the proof of an account is: one process at a time works on it.
create table proofs (
    account text primary key not null references accounts (name),
    -- Who does, and how often somebody has begun to: the number of the claim, which fences.
    worker_id integer,
    claims integer not null default 0 check (claims >= 0),
    -- Which look at the people in `sought` goes on; after the last one whoever is left is missing.
    look integer check (look > 0),
    -- Not before this moment.
    begins_at text,
    -- How they are looked for, once that is decided.
    way text check (way in ('listing', 'singles')),
    -- Where it goes on: what Luma calls the next page, or the last row that was asked for.
    cursor text,
    -- Pages read in this look.
    pages integer not null default 0 check (pages >= 0),
    -- Pages of the whole audience, when it was listed last.
    last_pages integer check (last_pages > 0),
    check ((look is null) = (begins_at is null)),
    check (way is null or look is not null),
    check (cursor is null or way is not null)
) strict;

-- Rows whose people are looked for. Only who was delivered before a look began is in it.
create table sought (
    row_id integer primary key not null,
    account text not null,
    key_hash integer not null,
    batch_id integer not null,
    tag_set_id integer not null,
    -- The tags that were not there when the person was seen last; none where nobody was seen.
    lacking text
) strict;

create index sought_people on sought (account, key_hash);
