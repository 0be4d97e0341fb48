-- New rows of each account are read by themselves: many of one account keep those of another from nobody.
drop index member_queue_new;
create index member_queue_new on member_queue (account, id) where run_id is null;
drop index event_queue_new;
create index event_queue_new on event_queue (account, id) where state = 'new';
