-- What a row asks for is fixed once it was read: what is recorded as sent would not be what was sent.
create trigger member_queue_is_fixed before update of account, email, tags, address on member_queue
when old.state in ('pending', 'held', 'failed', 'rejected')
    and (new.account is not old.account or new.email is not old.email
        or new.tags is not old.tags or new.address is not old.address)
begin
    select raise(abort, 'a row of member_queue is fixed once it was read: insert another');
end;
