-- What a row asks for is fixed once it was read: what is recorded as sent would not be what was sent.
create function member_queue_is_fixed() returns trigger language plpgsql as $$
begin
    raise exception 'a row of member_queue is fixed once it was read: insert another'
        using errcode = 'integrity_constraint_violation';
end
$$;

create trigger member_queue_is_fixed before update of account, email, tags, address on member_queue
for each row
when (old.state in ('pending', 'held', 'failed', 'rejected')
    and (new.account is distinct from old.account or new.email is distinct from old.email
        or new.tags is distinct from old.tags or new.address is distinct from old.address))
execute function member_queue_is_fixed();
