-- One event on Luma belongs to one row: whether an id is taken is asked with every creation.
create index event_queue_api_id on event_queue (account, api_id) where api_id is not null;
