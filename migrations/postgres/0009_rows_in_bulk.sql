-- Lists of numbers hold one or some thousand, and what they lead to is found by an index. Taken for a hundred, they
-- looked long enough to read all rows that wait and hold each of them against the list: once for every batch, for as
-- long as a table that was just filled has no statistics.
alter function json_each(text) rows 1;

-- Rows come by the ten thousand, all of one run and some hundred a batch. A foreign key asks anew for each of them,
-- which takes longer than all else that is done for a row. These triggers refuse the same, and ask once a statement.
alter table member_queue drop constraint member_queue_run_id_fkey;
alter table member_queue drop constraint member_queue_batch_id_fkey;

create function member_queue_run_id_fkey() returns trigger language plpgsql as $$
declare
    stray bigint;
begin
    if tg_op = 'INSERT' then
        -- Rows of other programs name none, and those programs need not be allowed to read our tables.
        if exists (select 1 from entered where run_id is not null) then
            select named.id into stray
              from (select distinct run_id as id from entered where run_id is not null order by run_id) named
             where not exists (select 1 from runs where id = named.id for key share) limit 1;
        end if;
    elsif tg_table_name = 'member_queue' then
        perform 1 from runs where id = new.run_id for key share;
        if not found then
            stray := new.run_id;
        end if;
    else
        -- After the fact: whoever entered a row meanwhile was waited for, and is seen.
        select run_id into stray from member_queue
         where run_id = old.id and not exists (select 1 from runs where id = old.id) limit 1;
    end if;
    if stray is not null then
        raise exception 'a row of member_queue names run %, which is not there', stray
            using errcode = 'foreign_key_violation';
    end if;
    return null;
end
$$;

create trigger member_queue_run_id_fkey_insert after insert on member_queue
referencing new table as entered
for each statement
execute function member_queue_run_id_fkey();

create trigger member_queue_run_id_fkey_update after update of run_id on member_queue
for each row
when (new.run_id is distinct from old.run_id)
execute function member_queue_run_id_fkey();

create trigger member_queue_run_id_fkey_delete after delete or update of id on runs
for each row
execute function member_queue_run_id_fkey();

create function member_queue_batch_id_fkey() returns trigger language plpgsql as $$
declare
    stray bigint;
begin
    if tg_op = 'INSERT' then
        if exists (select 1 from entered where batch_id is not null) then
            select named.id into stray
              from (select distinct batch_id as id from entered where batch_id is not null order by batch_id) named
             where not exists (select 1 from batches where id = named.id for key share) limit 1;
        end if;
    elsif tg_table_name = 'member_queue' then
        perform 1 from batches where id = new.batch_id for key share;
        if not found then
            stray := new.batch_id;
        end if;
    else
        select batch_id into stray from member_queue
         where batch_id = old.id and not exists (select 1 from batches where id = old.id) limit 1;
    end if;
    if stray is not null then
        raise exception 'a row of member_queue names batch %, which is not there', stray
            using errcode = 'foreign_key_violation';
    end if;
    return null;
end
$$;

create trigger member_queue_batch_id_fkey_insert after insert on member_queue
referencing new table as entered
for each statement
execute function member_queue_batch_id_fkey();

create trigger member_queue_batch_id_fkey_update after update of batch_id on member_queue
for each row
when (new.batch_id is distinct from old.batch_id)
execute function member_queue_batch_id_fkey();

create trigger member_queue_batch_id_fkey_delete after delete or update of id on batches
for each row
execute function member_queue_batch_id_fkey();
