-- What Luma last said of the allowance that all who use the calendar share: how many requests were left, after
-- which of ours, and until when that holds.
alter table accounts add column shared_left bigint;
alter table accounts add column shared_after bigint;
alter table accounts add column shared_until timestamptz;
