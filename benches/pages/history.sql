-- Years of work, as the product would have left it: two huge runs, thousands of small ones of four accounts, a run
-- that is held, events with their requests, fires. How much of each stands in `sizes`.

insert into tag_sets (id, tags) values (1, 'tag-vip'), (2, 'tag-press;tag-vip');
insert into accounts (name) values ('north'), ('south'), ('west');
-- The list as it was sent, and its lines in no order: rows are stored by the hash of the address.
create temp table numbers (n integer primary key);
insert into temp.numbers
with recursive n (n) as (select 1 union all select n + 1 from n where n < (select max(huge, small) from temp.sizes))
select n from n;

-- The first run: a file of which every tenth line is bad, most of them in the same three ways.
insert into runs (id, account, source, started_by, label, status, created_at, finished_at, read_rows, duplicate_rows, unchanged_rows)
select 1, 'main', 'file', 'manual', 'everybody.csv', 'partial', '2026-01-01T00:00:00.000000Z',
       '2026-01-01T02:00:00.000000Z', huge + 1100, 1000, 100 from temp.sizes;
insert into batches (id, account, run_id, tag_set_id, priority, row_count, bytes, state, due_at, attempts, settled_at)
select (n - 1) / 500 + 1, 'main', 1, (n / 500) % 3, 1000, sum(n % 10 <> 0), 12000, 'delivered',
       '2026-01-01T00:00:00.000000Z', 1, '2026-01-01T01:00:00.000000Z'
  from temp.numbers where n <= (select huge from temp.sizes) group by (n - 1) / 500;
insert into member_queue
    (account, email, name, state, code, reason, attempts, created_at, settled_at, run_id, line, key_hash, tag_set_id, batch_id)
select 'main', printf('someone.%08d@example.org', n), 'Some One', 'delivered', null, null, 1,
       '2026-01-01T00:00:00.000000Z', '2026-01-01T01:00:00.000000Z', 1, (n * 7919) % (select huge from temp.sizes) + 1,
       n * 1000003 * 7919 % 4611686018427387847, (n / 500) % 3, (n - 1) / 500 + 1
  from temp.numbers where n <= (select huge from temp.sizes) and n % 10 <> 0
union all
select 'main', 'no address', 'Some One', case when n % 100 = 0 then 'rejected' else 'invalid' end,
       case n % 30 when 0 then 'email_invalid' when 10 then 'tag_unknown' else 'too_long' end,
       case when n % 500 = 0 then printf('`%d` is no address', n) else 'it is not as it must be' end, 0,
       '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z', 1, (n * 7919) % (select huge from temp.sizes) + 1,
       case when n % 100 = 0 then n end, case when n % 100 = 0 then 0 end, case when n % 100 = 0 then (n - 1) / 500 + 1 end
  from temp.numbers where n <= (select huge from temp.sizes) and n % 10 = 0;

-- The second: rows of another program, some of which had nothing to send.
insert into runs (id, account, source, started_by, label, status, created_at, finished_at, read_rows)
select 2, 'north', 'queue', 'queue', 'queue', 'partial', '2026-02-01T00:00:00.000000Z', '2026-02-01T02:00:00.000000Z', queue
  from temp.sizes;
insert into batches (id, account, run_id, tag_set_id, priority, row_count, bytes, state, due_at, attempts, settled_at)
select 1000000 + (n - 1) / 500, 'north', 2, 0, 500, sum(n % 5 > 1), 12000, 'delivered', '2026-02-01T00:00:00.000000Z', 1,
       '2026-02-01T01:00:00.000000Z'
  from temp.numbers where n <= (select queue from temp.sizes) group by (n - 1) / 500;
insert into member_queue
    (account, email, state, code, reason, attempts, created_at, settled_at, run_id, key_hash, tag_set_id, batch_id)
select 'north', printf('guest.%08d@example.org', n),
       case n % 5 when 0 then 'unchanged' when 1 then 'suppressed' else 'delivered' end,
       case when n % 5 = 1 then 'suppressed' end, case when n % 5 = 1 then 'on the list of those who are never sent' end, 1,
       '2026-02-01T00:00:00.000000Z', '2026-02-01T01:00:00.000000Z', 2, n * 1000003 * 7919 % 4611686018427387847, 0,
       case when n % 5 > 1 then 1000000 + (n - 1) / 500 end
  from temp.numbers where n <= (select queue from temp.sizes);

-- The small ones, of a hundred rows: 95 delivered, two rejected, three invalid.
create temp table small_runs (id integer primary key, account text, at text);
insert into temp.small_runs
select 100 + n, case n % 4 when 0 then 'main' when 1 then 'north' when 2 then 'south' else 'west' end,
       strftime('%Y-%m-%dT%H:%M:%f000Z', 1772323200 + n * 600, 'unixepoch')
  from temp.numbers where n <= (select small / 100 from temp.sizes);
insert into runs (id, account, source, started_by, label, status, created_at, finished_at, read_rows)
select id, account, case id % 3 when 0 then 'sql' else 'folder' end, case id % 3 when 0 then 'schedule' else 'folder' end,
       printf('list-%05d.csv', id), 'partial', at, at, 100 from temp.small_runs;
insert into batches (id, account, run_id, tag_set_id, priority, row_count, bytes, state, due_at, attempts, settled_at)
select 2000000 + id, account, id, 1, 1000, 95, 2500, 'delivered', at, 1, at from temp.small_runs
union all
select 3000000 + id, account, id, 1, 1000, 2, 50, 'rejected', at, 1, at from temp.small_runs;
insert into member_queue
    (account, email, state, code, reason, attempts, created_at, settled_at, run_id, line, key_hash, tag_set_id, batch_id)
select r.account, printf('friend.%08d@example.org', n),
       case when n % 100 < 95 then 'delivered' when n % 100 < 97 then 'rejected' else 'invalid' end,
       case when n % 100 >= 97 then 'email_invalid' when n % 100 >= 95 then 'api_rejected' end,
       case when n % 100 >= 95 then 'it is not as it must be' end,
       1, r.at, r.at, r.id, n % 100 + 1, n * 1000003 * 7919 % 4611686018427387847, 1,
       case when n % 100 < 95 then 2000000 + r.id when n % 100 < 97 then 3000000 + r.id end
  from temp.numbers join temp.small_runs r on r.id = 101 + (n - 1) / 100
 where n <= (select small / 100 * 100 from temp.sizes);

-- One that waits for approval.
insert into runs (id, account, source, started_by, label, status, reason, created_at, read_rows)
select 99, 'south', 'folder', 'folder', 'newcomers.csv', 'held', 'many people are new', '2026-03-01T00:00:00.000000Z', 500 * (held / 500)
  from temp.sizes;
insert into batches (id, account, run_id, tag_set_id, priority, row_count, bytes, state, due_at)
select 4000000 + n, 'south', 99, 0, 1000, 500, 12000, 'pending', '2026-03-01T00:00:00.000000Z'
  from temp.numbers where n <= (select held / 500 from temp.sizes);
insert into member_queue (account, email, state, created_at, run_id, line, key_hash, tag_set_id, batch_id)
select 'south', printf('newcomer.%08d@example.org', n), 'pending', '2026-03-01T00:00:00.000000Z', 99, n,
       n * 1000003 * 7919 % 4611686018427387847, 0, 4000001 + (n - 1) / 500
  from temp.numbers where n <= (select 500 * (held / 500) from temp.sizes);

-- Every request of all of them; those of members within the last hours of the tables' own time.
insert into attempts (account, worker_id, batch_id, run_id, route, row_count, started_at, finished_at, status, verdict)
select account, 1, id, run_id, 'POST /user/audience/import', row_count, settled_at, settled_at, 200, 'accepted'
  from batches where state <> 'pending' order by id;

-- Events: created but for a few, of which fifty are in doubt.
insert into runs (id, account, kind, source, started_by, label, status, created_at, finished_at, read_rows)
select 98, 'main', 'events', 'queue', 'queue', 'events', 'partial', '2026-03-01T00:00:00.000000Z', '2026-03-02T00:00:00.000000Z', events
  from temp.sizes;
insert into attempts (id, account, worker_id, event_id, run_id, route, row_count, body_bytes, started_at, finished_at, status, verdict)
select 10000000 + n, 'main', 1, n, 98, 'POST /calendar/create-event', 1, 400, '2026-03-01T00:00:00.000000Z',
       '2026-03-01T00:00:01.000000Z', 200, 'accepted'
  from temp.numbers where n <= (select events from temp.sizes);
insert into event_queue
    (id, account, name, start_at, timezone, description_md, client_key, state, code, reason, api_id, attempts, created_at,
     settled_at, run_id, body, due_at, claim_id)
select n, 'main', printf('An evening with friends %d', n), '2026-12-01T19:00:00Z', 'UTC', printf('%300s', 'words'),
       printf('key-%d', n), case when n % 400 = 1 then 'unknown' else 'created' end,
       case when n % 400 = 1 then 'event_unknown' end, case when n % 400 = 1 then 'no answer came' end,
       case when n % 400 <> 1 then printf('evt-%d', n) end, 1, '2026-03-01T00:00:00.000000Z',
       case when n % 400 <> 1 then '2026-03-01T00:00:01.000000Z' end, 98, case when n % 400 = 1 then '{}' end,
       case when n % 400 = 1 then '2026-03-01T00:00:00.000000Z' end, case when n % 400 = 1 then 10000000 + n end
  from temp.numbers where n <= (select events from temp.sizes);

-- What Luma has confirmed.
insert or ignore into ledger (account, key_hash, email_key, tag_set_id, run_id)
select account, key_hash, lower(email), tag_set_id, run_id from member_queue where state = 'delivered'
 order by account, key_hash, lower(email);
update accounts set members = (select count(*) from ledger l where l.account = accounts.name);

-- A schedule that has fired every hour for a year.
insert into schedules (name, rule, judged_until) values ('hourly', '0 * * * * UTC', '2026-11-01T00:00:00.000000Z');
insert into schedule_fires (schedule, due_at, started_by, state, created_at, started_at, taken_at, ended_at)
select 'hourly', at, 'schedule', 'succeeded', at, at, at, at
  from (select strftime('%Y-%m-%dT%H:%M:%f000Z', 1735689600 + n * 3600, 'unixepoch') as at from temp.numbers
         where n <= (select min(small, 8000) from temp.sizes));
