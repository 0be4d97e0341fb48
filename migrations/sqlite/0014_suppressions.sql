-- People who are never sent, whatever list they are on.

-- The list as a whole, in one row.
create table suppression_list (
    one integer primary key not null check (one = 1),
    -- The key of the hashes in `suppressions`, made here. It is never shown.
    secret text not null check (length(secret) = 64),
    -- The last entry, and how often some were taken out: who has read as far has nothing to read.
    last_entry integer not null default 0 check (last_entry >= 0),
    removals integer not null default 0 check (removals >= 0)
) strict;

insert into suppression_list (one, secret) values (1, lower(hex(randomblob(32))));

create table suppressions (
    id integer primary key autoincrement,
    -- Whose people it is about; `*` is every account.
    account text not null,
    -- The keyed hash of the normalised address. The address itself stands nowhere.
    digest text not null check (length(digest) = 32),
    since text not null,
    reason text,
    -- Where the entry came from, for people.
    origin text not null
) strict;

create unique index suppressions_person on suppressions (digest, account);
