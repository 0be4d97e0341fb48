-- Runs by when they ended, so that those of the last day are told of without reading all.
create index runs_ended on runs (finished_at) where finished_at is not null;
