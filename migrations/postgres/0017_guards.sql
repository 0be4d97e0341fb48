-- The twin of `sqlite/0017_guards.sql`.

-- People with something to send of whom nothing had been delivered when the row was taken in.
alter table runs add column new_members bigint not null default 0 check (new_members >= 0);
-- Begun by `apply`: it is let go once all that was planned is there.
alter table runs add column planned bigint not null default 0 check (planned in (0, 1));
-- Who let it go though it was held, and when.
alter table runs add column approved_at timestamptz;
alter table runs add column approved_by text check ((approved_by is null) = (approved_at is null));

-- A list is known by its name: how long was it the last time?
create index runs_label on runs (label, id);

-- What a run was or is held for.
create table run_concerns (
    run_id bigint not null references runs (id),
    code text not null check (code in ('too_many_new', 'too_many_invalid', 'list_changed', 'not_as_planned')),
    reason text not null,
    primary key (run_id, code)
);
