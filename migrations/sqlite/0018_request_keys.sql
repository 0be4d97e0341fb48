-- Keys under which programs have put rows into the queues: the same request again makes no more of them.

create table request_keys (
    -- A digest of the key and of what it was for.
    key text primary key not null,
    -- A digest of what was asked.
    asked text not null,
    -- The rows that were made, in order, as JSON.
    ids text not null,
    created_at text not null
) strict;

create index request_keys_age on request_keys (created_at);
