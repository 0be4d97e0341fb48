-- The twin of `sqlite/0012_proof.sql`: the same tables and columns.

-- Proof of delivery: whom Luma has accepted is looked for, and found or not.

-- The states of rows are two more. The CHECKs that speak of states are found by what they say: their names were
-- given by the server.
do $$
declare
    rule record;
begin
    for rule in
        select conname from pg_constraint
         where conrelid = 'member_queue'::regclass and contype = 'c'
           and (pg_get_constraintdef(oid) like '%suppressed%' or pg_get_constraintdef(oid) like '%rejected%')
    loop
        execute format('alter table member_queue drop constraint %I', rule.conname);
    end loop;
end
$$;

alter table member_queue
    add check (
        state = 'delivered' or state = 'pending' or state = 'new' or state = 'verified' or state = 'unchanged'
        or state = 'duplicate' or state = 'invalid' or state = 'rejected' or state = 'failed'
        or state = 'missing' or state = 'suppressed' or state = 'held' or state = 'canceled'),
    add check ((batch_id is not null and tag_set_id is not null and key_hash is not null)
        or (state <> 'pending' and state <> 'delivered' and state <> 'verified' and state <> 'missing'
            and state <> 'rejected' and state <> 'failed')),
    add check ((code is not null and reason is not null)
        or (state <> 'invalid' and state <> 'rejected' and state <> 'failed' and state <> 'missing'));

-- What a row asks for is fixed once it was read: what is recorded as sent would not be what was sent.
drop trigger member_queue_is_fixed on member_queue;
create trigger member_queue_is_fixed before update of account, email, tags, address on member_queue
for each row
when (old.state in ('pending', 'held', 'failed', 'rejected', 'missing')
    and (new.account is distinct from old.account or new.email is distinct from old.email
        or new.tags is distinct from old.tags or new.address is distinct from old.address))
execute function member_queue_is_fixed();

-- How the run proves what it has delivered.
alter table runs add column verify text not null default 'none' check (verify in ('none', 'counts', 'full'));

-- What is still to be found out about the people of a delivered batch: how many of them there are, or whether
-- each of them is there; `sought` are those that are in the table `sought`.
alter table batches add column proof text check (proof in ('count', 'look', 'sought'));
-- Rows of it that were found in the audience.
alter table batches add column verified_rows bigint not null default 0 check (verified_rows >= 0);
-- People of it that Luma counts as not in the audience, where it counts fewer than were sent.
alter table batches add column absent_rows bigint check (absent_rows > 0);
-- Why nothing was found out about them.
alter table batches add column unproved text;

create index batches_proof on batches (account, run_id, id) where proof is not null;

-- How far the proof of an account is: one process at a time works on it.
create table proofs (
    account text primary key not null references accounts (name),
    -- Who does, and how often somebody has begun to: the number of the claim, which fences.
    worker_id bigint,
    claims bigint not null default 0 check (claims >= 0),
    -- Which look at the people in `sought` goes on; after the last one whoever is left is missing.
    look bigint check (look > 0),
    -- Not before this moment.
    begins_at timestamptz,
    -- How they are looked for, once that is decided.
    way text check (way in ('listing', 'singles')),
    -- Where it goes on: what Luma calls the next page, or the last row that was asked for.
    cursor text,
    -- Pages read in this look.
    pages bigint not null default 0 check (pages >= 0),
    -- Pages of the whole audience, when it was listed last.
    last_pages bigint check (last_pages > 0),
    check ((look is null) = (begins_at is null)),
    check (way is null or look is not null),
    check (cursor is null or way is not null)
);

-- Rows whose people are looked for. Only who was delivered before a look began is in it.
create table sought (
    row_id bigint primary key not null,
    account text not null,
    key_hash bigint not null,
    batch_id bigint not null,
    tag_set_id bigint not null,
    -- The tags that were not there when the person was seen last; none where nobody was seen.
    lacking text
);

create index sought_people on sought (account, key_hash);

-- Few rows, changed all the time.
alter table proofs set (fillfactor = 20, autovacuum_vacuum_threshold = 1000);
