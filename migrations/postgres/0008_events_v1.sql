-- The twin of `sqlite/0008_events_v1.sql`: the same tables and columns.

-- What events have in the dialect `v1` of Luma's API, under the API's names. A row says what its own dialect
-- has; `name`, `start_at`, `timezone`, `duration_minutes`, `cover_url` and `client_key` are there in all.

-- ISO 8601 with an offset, or a local time in `timezone`.
alter table event_queue add column end_at text;
-- Markdown.
alter table event_queue add column description_md text;
alter table event_queue add column visibility text;
-- The end of its address on Luma; made from the rest where it is not given.
alter table event_queue add column slug text;
alter table event_queue add column max_capacity bigint;
alter table event_queue add column meeting_url text;
-- An address as people write it, or as the API takes it.
alter table event_queue add column geo_address text;
alter table event_queue add column geo_address_json text;
-- Degrees.
alter table event_queue add column latitude double precision;
alter table event_queue add column longitude double precision;
alter table event_queue add column name_requirement text;
alter table event_queue add column phone_number_requirement text;
alter table event_queue add column can_register_for_multiple_tickets bigint
    check (can_register_for_multiple_tickets in (0, 1));
alter table event_queue add column show_guest_list bigint check (show_guest_list in (0, 1));
alter table event_queue add column reminders_disabled bigint check (reminders_disabled in (0, 1));
-- `true`, `false`, or how long after its end, as `P1D`.
alter table event_queue add column feedback_email text;
alter table event_queue add column tint_color text;
